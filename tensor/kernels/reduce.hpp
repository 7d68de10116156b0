// Sums, maxima and minima over any axes, on the CPU, in f32 and f64.
//
// The order of summation is fixed (tensor/reference/reduce.hpp), so no result depends on threads, instruction
// set, or on the batch that an image sits in. Outputs have their shape already.
// Errors: ShapeError, DtypeError, DeviceError.
#pragma once

#include "tensor/cpu/reduce_table.hpp"
#include "tensor/kernels/context.hpp"
#include "tensor/tensor.hpp"

#include <initializer_list>
#include <span>

namespace microtome::kernels {

// A set of axes: bit i stands for axis i.
using AxisMask = uint32_t;
// Negative axes count from the last. Throws ShapeError for an axis that `shape` lacks or that comes twice.
AxisMask axis_mask(const Shape& shape, std::span<const int> axes);
AxisMask axis_mask(const Shape& shape, std::initializer_list<int> axes);
AxisMask all_axes(const Shape& shape);

// y = the reduction of x over the axes. y has x's other axes in their order; axes of size 1 may stand
// anywhere between them (so a kept axis of size 1 is allowed and not needed). The sum of nothing is 0; the
// maximum of nothing is a ShapeError. A NaN goes through maxima and minima.
void reduce(Reduction reduction, const Tensor& x, AxisMask axes, Tensor& y,
            const KernelContext& context = {});

// y = the sum of x over every axis along which y is repeated to give x's shape: what broadcast_to does to a
// gradient.
void sum_to(const Tensor& x, Tensor& y, const KernelContext& context = {});

// The extreme element along one axis and its index (i64), the first where several are equal or NaN. Outputs
// have the elements of x without that axis. Throws ShapeError if there is nothing to choose from.
void arg_max(const Tensor& x, int axis, Tensor& values, Tensor& indices, const KernelContext& context = {});
void arg_min(const Tensor& x, int axis, Tensor& values, Tensor& indices, const KernelContext& context = {});

// Sums of squares of x (R,C) about a center (C), column by column, into y (C).
void squared_deviations(const Tensor& x, const Tensor& center, Tensor& y, const KernelContext& context = {});

}  // namespace microtome::kernels
