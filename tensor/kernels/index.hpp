// Gather and scatter along one axis. Index tensors are i64 and checked; values are f32 or f64.
#pragma once

#include "tensor/kernels/context.hpp"
#include "tensor/tensor.hpp"

namespace microtome::kernels {

// y[..., i, ...] = x[..., index[..., i, ...], ...] along `axis`; index and y have one shape, which agrees
// with x's on every other axis. Throws ShapeError for an index outside [0, size).
void gather(const Tensor& x, const Tensor& index, int axis, Tensor& y, KernelContext& context);

// x = 0, then x[..., index[..., i, ...], ...] += g[..., i, ...], in order of i.
void scatter_add(const Tensor& g, const Tensor& index, int axis, Tensor& x, KernelContext& context);

}  // namespace microtome::kernels
