// Gather and scatter along one axis. Index tensors are i64 and checked; values are f32 or f64.
#pragma once

#include "tensor/kernels/context.hpp"
#include "tensor/tensor.hpp"

#include <span>

namespace microtome::kernels {

// y[..., i, ...] = x[..., index[..., i, ...], ...] along `axis`; index and y have one shape, which agrees
// with x's on every other axis. Throws ShapeError for an index outside [0, size).
void gather(const Tensor& x, const Tensor& index, int axis, Tensor& y, KernelContext& context);

// x = 0, then x[..., index[..., i, ...], ...] += g[..., i, ...], in order of i.
void scatter_add(const Tensor& g, const Tensor& index, int axis, Tensor& x, KernelContext& context);

// y[i.., ...] = x[index[i..], ...]: rows of the first axis. Throws ShapeError for an index outside it.
void take_rows(const Tensor& x, const Tensor& index, Tensor& y, KernelContext& context);

// x = 0, then x[index[i..], ...] += g[i.., ...], in order of i.
void add_rows(const Tensor& g, const Tensor& index, Tensor& x, KernelContext& context);

// y (N, classes) = 1 where labels, i64 (N), say so, else 0. Throws ShapeError for a label outside.
void one_hot(const Tensor& labels, Tensor& y);

// For bilinear sampling of images (N, h, w, ...) at points (N, P), columns and rows in pixels: the pixel to
// the upper left of each, and of the four around it (upper left, upper right, lower left, lower right) the
// row of the images as (N * h * w, ...), i64 (N * P), 0 where outside, and 1 or 0 for inside, (N, P).
struct Corner {
    Tensor index, inside;
};
void find_corners(const Tensor& columns, const Tensor& rows, int64_t h, int64_t w, Tensor& left, Tensor& top,
                  std::span<Corner, 4> corners);

// The first elements of each row of the last axis in order, as many as y has, and where they stood. Equals
// keep their order, NaN comes last in either direction.
std::size_t sort_workspace(const Shape& x);
void sort_rows(const Tensor& x, bool descending, Tensor& y, Tensor& index, KernelContext& context);

}  // namespace microtome::kernels
