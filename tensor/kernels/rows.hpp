// Kernels over the last axis, fused row by row, and the channel statistics of batch normalisation, on the
// CPU, in f32 and f64. All axes but the last count as rows. Outputs have their shape already; y and dx may be
// any input of their own shape. No result depends on threads, instruction set, or the other rows. Errors:
// ShapeError, DtypeError, DeviceError.
#pragma once

#include "tensor/kernels/context.hpp"
#include "tensor/tensor.hpp"

namespace microtome::kernels {

// y = softmax(x), y = log(softmax(x)), each of x's shape; y = log(sum(e^x)), one per row. A row that is all
// -infinity has no softmax (NaN); its logsumexp is -infinity.
void softmax(const Tensor& x, Tensor& y, const KernelContext& context = {});
void log_softmax(const Tensor& x, Tensor& y, const KernelContext& context = {});
void logsumexp(const Tensor& x, Tensor& y, const KernelContext& context = {});

// The gradient at x, from the gradient g at y and from y itself.
void softmax_input_gradient(const Tensor& g, const Tensor& y, Tensor& dx, const KernelContext& context = {});
void log_softmax_input_gradient(const Tensor& g, const Tensor& y, Tensor& dx,
                                const KernelContext& context = {});

// y = (x - mean) rstd scale + shift along each row of n, rstd = 1 / sqrt(variance + epsilon), the variance
// biased; Ba, Kiros & Hinton 2016. scale and shift have n elements or are undefined: 1 and 0. mean and rstd
// have one element per row.
void layer_norm(const Tensor& x, const Tensor& scale, const Tensor& shift, double epsilon, Tensor& y,
                Tensor& mean, Tensor& rstd, const KernelContext& context = {});
void layer_norm_input_gradient(const Tensor& g, const Tensor& x, const Tensor& mean, const Tensor& rstd,
                               const Tensor& scale, Tensor& dx, const KernelContext& context = {});

// The mean and biased variance of each channel of x (..., C) over all else, in two passes: Ioffe & Szegedy
// 2015, algorithm 1. Throws ShapeError if there is nothing to average.
void channel_statistics(const Tensor& x, Tensor& mean, Tensor& variance, const KernelContext& context = {});

// y = x scale[c] + shift[c] for x (..., C), rounded once.
void scale_shift(const Tensor& x, const Tensor& scale, const Tensor& shift, Tensor& y,
                 const KernelContext& context = {});

}  // namespace microtome::kernels
