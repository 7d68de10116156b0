// Pooling over windows of an image. NHWC; f32 or f64.
#pragma once

#include "tensor/kernels/context.hpp"
#include "tensor/pool_shape.hpp"
#include "tensor/tensor.hpp"

namespace microtome {

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

// y (N, OH, OW, C): the mean of each window's pixels, summed row by row. Padding does not count.
void average_pool2d(const PoolWindows& windows, const Tensor& x, Tensor& y, KernelContext& context);
// The adjoint, x (N, H, W, C): each pixel adds up g / (pixels of the window) over its windows, in order.
void average_unpool2d(const PoolWindows& windows, const Tensor& g, Tensor& x, KernelContext& context);

// y (N, OH, OW, C), and in `winner` (i64, of y's shape; null: not wanted) which pixel of the image it was,
// row * W + column. The first of equals wins; NaN wins over everything.
void windowed_max(const PoolWindows& windows, const Tensor& x, Tensor& y, Tensor* winner,
                  KernelContext& context);

}  // namespace kernels
}  // namespace microtome
