// What a convolution with ReLU and pooling shares with its gradients.
#pragma once

#include "autograd/composed.hpp"
#include "autograd/ops/comparison.hpp"
#include "autograd/ops/control.hpp"
#include "autograd/ops/conv2d_op.hpp"
#include "autograd/ops/elementwise.hpp"
#include "autograd/ops/pooling.hpp"
#include "tensor/kernels/conv2d.hpp"
#include "tensor/kernels/conv_pool.hpp"

#include <algorithm>
#include <cmath>

namespace microtome {

// (N, OH / 2, OW / 2, O)
inline Shape pooled(const ConvShape& s) {
    return {s.n, s.oh / 2, s.ow / 2, s.o};
}

// One window at least.
inline ConvShape require_window(std::string_view op, const ConvShape& shape) {
    if (shape.oh < 2 || shape.ow < 2)
        throw ShapeError(
            op, str("expected a convolution of at least 2x2 pixels to pool, got ", shape.output(), " from x ",
                    shape.input(), " and filters ", shape.filters()));
    return shape;
}

// A gradient and its gate must be those of the forward pass.
inline ConvShape require_pooled(std::string_view op, const ConvShape& shape, const Spec& g,
                                const Spec& gate) {
    if (!(g.shape == pooled(shape)) || !(gate == Spec{pooled(shape), Dtype::u8, gate.device}))
        throw ShapeError(op, str("expected g and a u8 gate ", pooled(shape), " for x ", shape.input(),
                                 " and filters ", shape.filters(), ", got ", g, " and ", gate));
    return shape;
}

// Bytes from whatever file or caller.
inline void require_gate(std::string_view op, const Tensor& gate) {
    if (gate.device().kind != Device::Kind::cpu) return;  // GPU kernels look themselves
    if (!kernels::is_conv_pool_gate(gate.data<uint8_t>().data(), gate.elements()))
        throw ShapeError(op, "expected a gate of bytes 0 to 4, got another byte");
}

// g at the pixels that won, and 0 elsewhere: what the gradients are those of conv2d for.
inline Tensor unpooled(const Tensor& g, const Tensor& gate, const ConvShape& s) {
    const Tensor byte = cast(gate, Dtype::f64);
    const Tensor open = cast(less(byte, 4.0), g.dtype());
    return max_unpool2d(where(open, g, 0.0), cast(clamp(byte, 0, 3), Dtype::u8), s.oh, s.ow);
}

struct ConvReluPoolSample {
    Tensor x, w, bias, gate;
    Shape y;
};

// The first random numbers under which no window has a ReLU or a choice within 1e-3 of its kink.
inline ConvReluPoolSample away_from_kinks(const Shape& x, const Shape& w, const ConvOptions& options) {
    const ConvShape shape = conv_shape(x, w, options);
    for (uint64_t seed = 1;; ++seed) {
        ConvReluPoolSample s{uniform(x, -1, 1, seed), uniform(w, -1, 1, seed + 100),
                             uniform({shape.o}, -1, 1, seed + 200),
                             Tensor(Spec{pooled(shape), Dtype::u8, kCpu}), pooled(shape)};
        const Tensor z = conv2d(s.x, s.w, options) + s.bias;
        const double* all = z.data<double>().data();
        bool clear = true;
        for (int64_t at = 0; at < s.y.elements(); ++at) {
            const int64_t o = at % shape.o, j = at / shape.o % s.y[2], i = at / shape.o / s.y[2] % s.y[1],
                          n = at / shape.o / s.y[2] / s.y[1];
            double four[4];
            for (int64_t p = 0; p < 4; ++p)
                four[p] = all[((n * shape.oh + 2 * i + p / 2) * shape.ow + 2 * j + p % 2) * shape.o + o];
            std::sort(four, four + 4);
            clear = clear && std::abs(four[3]) > 1e-3 && (four[3] < 0 || four[3] - four[2] > 1e-3);
        }
        if (!clear) continue;
        Tensor y(Spec{s.y, Dtype::f64, kCpu});
        const std::size_t bytes = kernels::conv_pool_workspace<double>(shape);
        Tensor work(Spec{{static_cast<int64_t>(bytes)}, Dtype::u8, kCpu});
        KernelContext context;
        context.workspace = {work.mutable_raw(), bytes};
        kernels::conv_pool<double>(shape, s.x.data<double>().data(), s.w.data<double>().data(),
                                   s.bias.data<double>().data(), y.mutable_data<double>().data(),
                                   s.gate.mutable_data<uint8_t>().data(), context);
        return s;
    }
}

// The geometries that hurt, for all three: sample(name, x shape, filter shape, options).
template <class Sample>
void conv_relu_pool_geometries(const Sample& sample) {
    const ConvOptions same{.pad_top = 1, .pad_bottom = 1, .pad_left = 1, .pad_right = 1};
    sample("3x3 same", Shape{2, 4, 4, 2}, Shape{3, 3, 3, 2}, same);
    sample("a row and a column left over", Shape{1, 5, 7, 1}, Shape{2, 3, 3, 1}, same);
    sample("valid", Shape{1, 4, 6, 3}, Shape{2, 3, 3, 3}, ConvOptions{});
    sample("padding on one side", Shape{1, 3, 3, 1}, Shape{1, 2, 3, 1},
           ConvOptions{.pad_top = 2, .pad_right = 3});
    sample("stride 2, dilated", Shape{1, 7, 8, 2}, Shape{2, 2, 2, 2},
           ConvOptions{.stride_h = 2, .stride_w = 2, .dilation_h = 2});
    sample("groups", Shape{1, 3, 4, 4}, Shape{4, 2, 2, 2}, ConvOptions{.pad_top = 1, .groups = 2});
    sample("channels of a vector", Shape{1, 2, 3, 16}, Shape{2, 3, 3, 16}, same);
    sample("channels past a vector", Shape{1, 2, 2, 17}, Shape{3, 1, 1, 17}, ConvOptions{});
    sample("no images", Shape{0, 4, 4, 1}, Shape{1, 3, 3, 1}, ConvOptions{});
}

}  // namespace microtome
