// Reductions over axes. The axes are gone from the result unless Axes::keep, which leaves them with size 1.
#pragma once

#include "tensor/tensor.hpp"

#include <vector>

namespace microtome {

enum class Axes { drop, keep };

Tensor sum(const Tensor& x);  // of all elements, a scalar
Tensor sum(const Tensor& x, const std::vector<int>& axes, Axes after = Axes::drop);
Tensor mean(const Tensor& x);
Tensor mean(const Tensor& x, const std::vector<int>& axes, Axes after = Axes::drop);
// The mean square distance from the mean: biased, divided by the number of elements. Two passes.
Tensor variance(const Tensor& x);
Tensor variance(const Tensor& x, const std::vector<int>& axes, Axes after = Axes::drop);

// The largest and the smallest element, of all or along one axis; NaN if there is one. The gradient goes to
// the first of equals, whose index is what is saved. ShapeError where there is nothing to choose from.
Tensor max(const Tensor& x);
Tensor max(const Tensor& x, int axis, Axes after = Axes::drop);
Tensor min(const Tensor& x);
Tensor min(const Tensor& x, int axis, Axes after = Axes::drop);

// Where along the axis they lie, i64: the first of equals, the first NaN if there is one. Without gradient.
Tensor argmax(const Tensor& x, int axis, Axes after = Axes::drop);
Tensor argmin(const Tensor& x, int axis, Axes after = Axes::drop);

// Norms of each sample: x (N, ...) to (N). Where a norm has no derivative its gradient is 0 for l1 (at
// elements that are 0) and l2 (at samples that are 0); that of linf goes to the first of the largest, and is
// 0 at a sample that is 0. l2 neither overflows nor underflows while its result does not. A sample without
// elements has norm 0, but linf refuses it with a ShapeError.
Tensor norm_l1(const Tensor& x);
Tensor norm_l2(const Tensor& x);
Tensor norm_linf(const Tensor& x);

}  // namespace microtome
