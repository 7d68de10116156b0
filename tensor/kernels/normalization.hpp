// Batch normalisation. Channels are the last axis; x has at least one row. f32 or f64.
#pragma once

#include "tensor/kernels/context.hpp"
#include "tensor/tensor.hpp"

namespace microtome::kernels {

// mean and variance (C) of x's channels, the variance biased, in two passes in the order of
// tensor/reference/reduce.hpp, and y = x scale + shift with scale = gamma / sqrt(variance + eps) and
// shift = beta - mean scale, each a fused multiply-add.
void batch_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, double eps, Tensor& y, Tensor& mean,
                Tensor& variance, const KernelContext& context);

// With x' = (x - mean) / sqrt(variance + eps): dgamma = sum(g x'), dbeta = sum(g) over the rows and
// dx = gamma (g - mean(g) - x' mean(g x')) / sqrt(variance + eps).
void batch_norm_gradient(const Tensor& g, const Tensor& x, const Tensor& gamma, const Tensor& mean,
                         const Tensor& variance, double eps, Tensor& dx, Tensor& dgamma, Tensor& dbeta,
                         const KernelContext& context);

}  // namespace microtome::kernels
