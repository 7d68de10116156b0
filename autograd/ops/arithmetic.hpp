// Arithmetic on tensors of one type and device. Shapes broadcast as in NumPy: aligned at the last axis, an
// axis of size 1 or a missing one stretches. ShapeError where they clash, DtypeError where types differ.
#pragma once

#include "tensor/tensor.hpp"

namespace microtome {

Tensor add(const Tensor& a, const Tensor& b);
Tensor subtract(const Tensor& a, const Tensor& b);
Tensor multiply(const Tensor& a, const Tensor& b);
Tensor divide(const Tensor& a, const Tensor& b);
Tensor negate(const Tensor& x);

// clang-format off
inline Tensor operator+(const Tensor& a, const Tensor& b) { return add(a, b); }
inline Tensor operator-(const Tensor& a, const Tensor& b) { return subtract(a, b); }
inline Tensor operator*(const Tensor& a, const Tensor& b) { return multiply(a, b); }
inline Tensor operator/(const Tensor& a, const Tensor& b) { return divide(a, b); }
inline Tensor operator-(const Tensor& x) { return negate(x); }

// Literals take the tensor's type and device.
inline Tensor literal_like(const Tensor& x, double value) { return Tensor::scalar(value, x.dtype(), x.device()); }
inline Tensor operator+(const Tensor& a, double b) { return add(a, literal_like(a, b)); }
inline Tensor operator-(const Tensor& a, double b) { return subtract(a, literal_like(a, b)); }
inline Tensor operator*(const Tensor& a, double b) { return multiply(a, literal_like(a, b)); }
inline Tensor operator/(const Tensor& a, double b) { return divide(a, literal_like(a, b)); }
inline Tensor operator+(double a, const Tensor& b) { return add(literal_like(b, a), b); }
inline Tensor operator-(double a, const Tensor& b) { return subtract(literal_like(b, a), b); }
inline Tensor operator*(double a, const Tensor& b) { return multiply(literal_like(b, a), b); }
inline Tensor operator/(double a, const Tensor& b) { return divide(literal_like(b, a), b); }
// clang-format on

}  // namespace microtome
