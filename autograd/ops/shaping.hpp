// Ops that move elements or give them another shape, and change none.
#pragma once

#include "tensor/tensor.hpp"

#include <vector>

namespace microtome {

// The same elements in row-major order under another shape; shares storage. One size may be -1: what is left.
Tensor reshape(const Tensor& x, const Shape& shape);
Tensor reshape(const Tensor& x, std::initializer_list<int64_t> sizes);  // allows the -1
// (N, ...) to (N, everything else).
Tensor flatten(const Tensor& x);

// Stretches x to shape as broadcasting would, and its adjoint: sums g over the stretched axes down to shape.
// Both return their argument when there is nothing to do.
Tensor broadcast_to(const Tensor& x, const Shape& shape);
Tensor sum_to(const Tensor& g, const Shape& shape);

// Axis i of the result is axis order[i] of x: permute(x, {0, 3, 1, 2}) takes NHWC to NCHW.
Tensor permute(const Tensor& x, const std::vector<int>& order);
// The last two axes swapped.
Tensor transpose(const Tensor& x);

// Elements begin to end - 1 along an axis, 0 <= begin <= end <= size. On the first axis the result shares
// storage with x; elsewhere it is a copy. All of x is x itself.
Tensor slice(const Tensor& x, int axis, int64_t begin, int64_t end);
// The same on every axis at once: a box, copied.
Tensor slice(const Tensor& x, const std::vector<int64_t>& begin, const std::vector<int64_t>& end);
// The first axis, always as a view that shares storage.
Tensor slice_rows(const Tensor& x, int64_t begin, int64_t end);
// Slices of these sizes one after another, which add up to the axis's size.
Tensors split(const Tensor& x, int axis, const std::vector<int64_t>& sizes);

// Zeros around x, `before` and `after` it on each axis: the adjoint of slice. OptionsError below 0.
struct Margin {
    int64_t before = 0, after = 0;
};
Tensor pad(const Tensor& x, const std::vector<Margin>& margins);
// The same for images (N, H, W, C).
Tensor pad_images(const Tensor& x, const Margin& rows, const Margin& columns);

// One after another along an axis; shapes agree elsewhere. Any number of tensors but none.
Tensor concat(const Tensors& xs, int axis);
// Tensors of one shape along a new axis: stack({x, y}, 0) has shape (2, ...).
Tensor stack(const Tensors& xs, int axis);

// x in reverse order along an axis: axis 2 of (N, H, W, C) mirrors left and right.
Tensor flip(const Tensor& x, int axis);

}  // namespace microtome
