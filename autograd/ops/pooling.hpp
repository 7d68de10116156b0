// Pooling over windows of an image, NHWC. Output sizes are rounded down.
#pragma once

#include "tensor/kernels/pool.hpp"
#include "tensor/tensor.hpp"

namespace microtome {

// The largest element of each window, channel by channel. The gradient goes to the first of equals. Saves one
// byte per output element: which pixel of the window won.
Tensor max_pool2d(const Tensor& x, const PoolOptions& options = {});

// Its two adjoint companions, linear in the first argument; winner is u8 (N, OH, OW, C).
Tensor max_unpool2d(const Tensor& g, const Tensor& winner, int64_t h, int64_t w,
                    const PoolOptions& options = {});
Tensor max_pool2d_gather(const Tensor& x, const Tensor& winner, const PoolOptions& options = {});

// The mean of each window's pixels; padding does not count (PyTorch: count_include_pad=False).
Tensor average_pool2d(const Tensor& x, const PoolOptions& options = {});

// oh x ow windows of nearly equal size that cover the image: window i of rows floor(i H / oh) to
// ceil((i + 1) H / oh) - 1, columns likewise, as PyTorch's adaptive pooling. (N, H, W, C) to (N, oh, ow, C).
Tensor adaptive_average_pool2d(const Tensor& x, int64_t oh, int64_t ow);
Tensor adaptive_max_pool2d(const Tensor& x, int64_t oh, int64_t ow);  // the first of equals wins

// The mean over each whole image: (N, H, W, C) to (N, C).
Tensor global_average_pool2d(const Tensor& x);

}  // namespace microtome
