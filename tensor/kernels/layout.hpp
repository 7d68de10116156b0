// Kernels that move elements and calculate nothing. They take any element type.
#pragma once

#include "tensor/kernels/context.hpp"
#include "tensor/tensor.hpp"

#include <span>
#include <vector>

namespace microtome::kernels {

// All bits 0, which is zero in every element type.
void clear(Tensor& y);

// y's axis i is x's axis order[i].
void permute(const Tensor& x, const std::vector<int>& order, Tensor& y, KernelContext& context);

// A box of y becomes x: y[begin[0] + i, begin[1] + j, ...] = x[i, j, ...]; the rest of y stays.
void copy_into_box(const Tensor& x, std::span<const int64_t> begin, Tensor& y, KernelContext& context);

// The other way: y[i, j, ...] = x[begin[0] + i, begin[1] + j, ...], for all of y.
void copy_from_box(const Tensor& x, std::span<const int64_t> begin, Tensor& y, KernelContext& context);

// y = x in reverse order along `axis`.
void flip(const Tensor& x, int axis, Tensor& y, KernelContext& context);

}  // namespace microtome::kernels
