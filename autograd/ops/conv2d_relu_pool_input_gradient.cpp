#include "autograd/ops/conv_relu_pool_op.hpp"

namespace microtome {

struct op::Conv2dReluPoolInputGradient {
    static constexpr std::string_view name = "conv2d_relu_pool_input_gradient";
    static constexpr std::string_view formula =
        "dx = conv2d_input_gradient(g at the pixel that won each window, w)";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::composed;
    using Attributes = Conv2dInputGradientAttributes;

    static ConvShape geometry(const Attributes& a, const Shape& g, const Shape& w) {
        if (g.rank() != 4 || w.rank() != 4)
            throw ShapeError(name, str("expected g (N, OH / 2, OW / 2, O) and filters (O, KH, KW, C), got ",
                                       g, " and ", w));
        return require_window(name, conv_shape(Shape{g[0], a.h, a.w, w[3] * a.options.groups}, w, a.options));
    }
    static Specs shape_rule(const Attributes& a, const Specs& in) {
        require_images(name, {in[0], in[2]});
        const ConvShape shape = geometry(a, in[0].shape, in[2].shape);
        require_pooled(name, shape, in[0], in[1]);
        return {{shape.input(), in[0].dtype, in[0].device}};
    }
    static std::size_t workspace(const Attributes& a, const Specs& in) {
        return visit_floating("conv2d_relu_pool", in[0].dtype, [&]<class T>() {
            return kernels::conv_pool_input_gradient_workspace<T>(geometry(a, in[0].shape, in[2].shape));
        });
    }
    static void forward(const Attributes& a, const Tensors& in, Tensors& out, KernelContext& context) {
        require_gate(name, in[1]);
        kernels::conv_pool_input_gradient(geometry(a, in[0].shape(), in[2].shape()), in[0], in[1], in[2],
                                          out[0], context);
    }
    static Saves saves(const Attributes&, Needs) { return Saves().input(0).input(1).input(2); }
    static Tensors vjp(const Attributes& a, const Recorded& record, const Tensors& u) {
        return composed_vjp(record, u, [&](const Tensors& in) -> Tensors {
            const ConvShape s = geometry(a, in[0].shape(), in[2].shape());
            return {conv2d_input_gradient(unpooled(in[0], in[1], s), in[2], a.h, a.w, a.options)};
        });
    }
    static void samples(Samples<Conv2dReluPoolInputGradient>& s) {
        conv_relu_pool_geometries(
            [&](std::string text, const Shape& x, const Shape& w, const ConvOptions& options) {
                const ConvReluPoolSample sample = away_from_kinks(x, w, options);
                s.add(std::move(text), {options, x[1], x[2]},
                      {uniform(sample.y, -1, 1, 3), sample.gate, sample.w});
            });
        const Spec gate{{1, 4, 4, 2}, Dtype::u8, kCpu};
        s.fails("a gradient of another size", {{}, 10, 10}, {f64({1, 4, 5, 2}), gate, f64({2, 3, 3, 1})},
                "expected g and a u8 gate (1,4,4,2)");
        s.fails("a gate of floats", {{}, 10, 10}, {f64({1, 4, 4, 2}), f64({1, 4, 4, 2}), f64({2, 3, 3, 1})},
                "u8 gate");
        s.fails("nothing to pool", {{}, 1, 4}, {f64({1, 0, 2, 1}), gate, f64({1, 1, 1, 1})}, "at least 2x2");
        s.fails("not images", {{}, 10, 10}, {f64({4, 4, 2}), gate, f64({2, 3, 3, 1})},
                "expected g (N, OH / 2, OW / 2, O)");
    }
};

template <>
const OpInfo& op_info<op::Conv2dReluPoolInputGradient>() {
    return describe<op::Conv2dReluPoolInputGradient>();
}

Tensor conv2d_relu_pool_input_gradient(const Tensor& g, const Tensor& gate, const Tensor& w, int64_t h,
                                       int64_t width, const ConvOptions& options) {
    return apply<op::Conv2dReluPoolInputGradient>({options, h, width}, {g, gate, w})[0];
}

}  // namespace microtome
