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

}  // namespace microtome
