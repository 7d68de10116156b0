// Pooling over windows of an image. NHWC; f32 or f64.
#pragma once

#include "tensor/conv_shape.hpp"
#include "tensor/kernels/context.hpp"
#include "tensor/tensor.hpp"

namespace microtome {

// A window of kernel_h x kernel_w pixels, stride apart. Padding never wins a maximum and never counts in a
// mean.
struct PoolOptions {
    int64_t kernel_h = 2, kernel_w = 2;
    int64_t stride_h = 2, stride_w = 2;
    int64_t pad_top = 0, pad_bottom = 0, pad_left = 0, pad_right = 0;

    friend bool operator==(const PoolOptions&, const PoolOptions&) = default;
};

struct PoolShape : PoolOptions {
    int64_t n = 0, h = 0, w = 0, c = 0;  // input
    int64_t oh = 0, ow = 0;              // output: sizes are rounded down, pixels left over are not looked at

    Shape input() const { return {n, h, w, c}; }
    Shape output() const { return {n, oh, ow, c}; }
};

// Throws ShapeError for x that is not (N, H, W, C), a window larger than the padded image or of more than 255
// pixels, OptionsError for sizes below 1, or padding that leaves a window without a pixel.
PoolShape pool_shape(const char* op, const Shape& x, const PoolOptions& options);

namespace kernels {

// y (N, OH, OW, C), and in `winner` (u8, of y's shape; null: not wanted) which pixel of the window it was,
// counted row by row. The first of equals wins; NaN wins over everything.
void max_pool2d(const PoolShape& shape, const Tensor& x, Tensor& y, Tensor* winner, KernelContext& context);
// x (N, H, W, C): each winner gets its window's g; the rest is 0.
void max_unpool2d(const PoolShape& shape, const Tensor& g, const Tensor& winner, Tensor& x,
                  KernelContext& context);
// y (N, OH, OW, C): each window's winner taken out of x.
void max_pool2d_gather(const PoolShape& shape, const Tensor& x, const Tensor& winner, Tensor& y,
                       KernelContext& context);

}  // namespace kernels
}  // namespace microtome
