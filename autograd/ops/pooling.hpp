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

}  // namespace microtome
