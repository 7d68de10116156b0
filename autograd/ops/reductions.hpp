// Reductions over axes. The axes are gone from the result unless keep_axes, which leaves them with size 1.
#pragma once

#include "tensor/tensor.hpp"

#include <vector>

namespace microtome {

enum class Axes { drop, keep };

Tensor sum(const Tensor& x);  // of all elements, a scalar
Tensor sum(const Tensor& x, const std::vector<int>& axes, Axes after = Axes::drop);
Tensor mean(const Tensor& x);
Tensor mean(const Tensor& x, const std::vector<int>& axes, Axes after = Axes::drop);

}  // namespace microtome
