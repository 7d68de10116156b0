// Euclidean norms of a batch.
#pragma once

#include "tensor/kernels/context.hpp"
#include "tensor/tensor.hpp"

namespace microtome::kernels {

// y (N) = the Euclidean norm of each sample of x (N, ...); f32 or f64, in the order of
// tensor/reference/reduce.hpp. A sample whose squares would leave the range of the type (a confident model's
// gradient squared underflows in f32) is summed after scaling by a power of two, which rounds nothing.
void norm_l2(const Tensor& x, Tensor& y, const KernelContext& context);

}  // namespace microtome::kernels
