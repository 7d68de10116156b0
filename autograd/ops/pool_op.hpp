// What the pooling ops share.
#pragma once

#include "autograd/describe.hpp"
#include "autograd/ops/pooling.hpp"
#include "autograd/ops/require.hpp"

#include <array>

namespace microtome {

void each_pool_option(const PoolOptions& o, auto&& field) {
    field("kernel", std::array{o.kernel_h, o.kernel_w});
    field("stride", std::array{o.stride_h, o.stride_w});
    field("pad", std::array{o.pad_top, o.pad_bottom, o.pad_left, o.pad_right});
}

// Here for the plan too, which looks at them to fuse.
struct MaxPool2dAttributes {
    PoolOptions options;
    void each(auto&& field) const { each_pool_option(options, field); }
};

// Winners must name a pixel inside the image, whatever file or caller they come from.
inline void require_winners(const char* op, const PoolShape& s, const Tensor& winner) {
    if (winner.device().kind != Device::Kind::cpu) return;  // GPU kernels look themselves
    const uint8_t* at = winner.data<uint8_t>().data();
    auto inside = [&](int64_t row, int64_t j, int pixel) {
        const int64_t y = row % s.oh * s.stride_h - s.pad_top + pixel / s.kernel_w;
        const int64_t x = j * s.stride_w - s.pad_left + pixel % s.kernel_w;
        return pixel < s.kernel_h * s.kernel_w && y >= 0 && y < s.h && x >= 0 && x < s.w;
    };
    for (int64_t row = 0; row < s.n * s.oh; ++row)
        for (int64_t j = 0; j < s.ow; ++j, at += s.c) {
            uint8_t most = 0;
#pragma omp simd reduction(max : most)
            for (int64_t c = 0; c < s.c; ++c) most = at[c] > most ? at[c] : most;
            // A window that lies inside as a whole needs no look at each.
            const bool whole =
                inside(row, j, 0) && inside(row, j, static_cast<int>(s.kernel_h * s.kernel_w) - 1);
            if (whole && most < s.kernel_h * s.kernel_w) continue;
            for (int64_t c = 0; c < s.c; ++c)
                if (!inside(row, j, at[c]))
                    throw ShapeError(op, str("expected winners inside the image, got ", int{at[c]},
                                             " in a window of ", s.kernel_h, "x", s.kernel_w));
        }
}

// The geometries that hurt, for all pooling ops: sample(name, x shape, options).
template <class Sample>
void pool_geometries(const Sample& sample) {
    sample("2x2", Shape{2, 4, 4, 2}, PoolOptions{});
    sample("an odd size leaves a row and a column over", Shape{1, 5, 7, 1}, PoolOptions{});
    sample("3x3 with overlap and padding", Shape{1, 6, 5, 2},
           PoolOptions{
               .kernel_h = 3, .kernel_w = 3, .pad_top = 1, .pad_bottom = 1, .pad_left = 1, .pad_right = 1});
    sample("gaps between windows", Shape{1, 6, 6, 1},
           PoolOptions{.kernel_h = 1, .kernel_w = 2, .stride_h = 3, .stride_w = 3});
    sample("the whole image", Shape{2, 2, 3, 2}, PoolOptions{.kernel_h = 2, .kernel_w = 3});
    sample("channels past a vector", Shape{1, 2, 5, 17}, PoolOptions{});
    sample("channels past two, with overlap", Shape{1, 3, 3, 33}, PoolOptions{.stride_h = 1, .stride_w = 1});
    sample("no images", Shape{0, 4, 4, 1}, PoolOptions{});
}

// Which pixels win in a pooling of distinct numbers, for samples of the companions.
inline Tensor sample_winners(const Shape& x, const PoolOptions& options) {
    PoolShape shape = max_pool_shape("sample", x, options);
    Tensor input = distinct(x), y(Spec{shape.output(), Dtype::f64, kCpu}),
           winner(Spec{shape.output(), Dtype::u8, kCpu});
    KernelContext context;
    kernels::max_pool2d(shape, input, y, &winner, context);
    return winner;
}

}  // namespace microtome
