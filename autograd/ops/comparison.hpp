// Comparisons, element by element: 1 where true, 0 where not, in the type of the arguments, which must agree.
// Shapes broadcast. A NaN is unequal to everything and neither less nor greater. No gradient flows through a
// comparison; where() sends one where its condition says.
#pragma once

#include "autograd/ops/arithmetic.hpp"
#include "tensor/tensor.hpp"

namespace microtome {

Tensor less(const Tensor& a, const Tensor& b);
Tensor less_equal(const Tensor& a, const Tensor& b);
Tensor greater(const Tensor& a, const Tensor& b);
Tensor greater_equal(const Tensor& a, const Tensor& b);
Tensor equal(const Tensor& a, const Tensor& b);
Tensor not_equal(const Tensor& a, const Tensor& b);

// clang-format off
inline Tensor less(const Tensor& a, double b) { return less(a, literal_like(a, b)); }
inline Tensor less_equal(const Tensor& a, double b) { return less_equal(a, literal_like(a, b)); }
inline Tensor greater(const Tensor& a, double b) { return greater(a, literal_like(a, b)); }
inline Tensor greater_equal(const Tensor& a, double b) { return greater_equal(a, literal_like(a, b)); }
inline Tensor equal(const Tensor& a, double b) { return equal(a, literal_like(a, b)); }
inline Tensor not_equal(const Tensor& a, double b) { return not_equal(a, literal_like(a, b)); }
// clang-format on

// a where condition is not 0, else b. The three have one type and broadcast together; the gradient goes to
// the one chosen and is 0 for the other, and there is none for the condition.
Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b);
// clang-format off
inline Tensor where(const Tensor& condition, const Tensor& a, double b) { return where(condition, a, literal_like(a, b)); }
inline Tensor where(const Tensor& condition, double a, const Tensor& b) { return where(condition, literal_like(b, a), b); }
// clang-format on

}  // namespace microtome
