// Softmax and layer normalisation over the last axis, as passes of the element-wise kernels and reductions,
// whose promises (portable bits, f32 and f64) they inherit. Rows have at least one element.
#pragma once

#include "tensor/kernels/context.hpp"
#include "tensor/tensor.hpp"

namespace microtome::kernels {

// y = e^(x - m) / sum of e^(x - m), y = x - logsumexp(x), and y = m + log(sum of e^(x - m)), (..., 1), with m
// the row's maximum.
void softmax(const Tensor& x, Tensor& y, const KernelContext& context);
void log_softmax(const Tensor& x, Tensor& y, const KernelContext& context);
void logsumexp(const Tensor& x, Tensor& y, const KernelContext& context);

// dx = y (g - sum of g y).
void softmax_input_gradient(const Tensor& g, const Tensor& y, Tensor& dx, const KernelContext& context);

// y = gamma x' + beta with x' = (x - mean) / sqrt(variance + eps), each row's own.
void layer_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, double eps, Tensor& y,
                const KernelContext& context);

// dx = (h - mean(h) - x' mean(h x')) / sqrt(variance + eps) with h = gamma g.
void layer_norm_input_gradient(const Tensor& g, const Tensor& x, const Tensor& gamma, double eps, Tensor& dx,
                               const KernelContext& context);

}  // namespace microtome::kernels
