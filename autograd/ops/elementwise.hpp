// Functions of one element at a time. f32 or f64 in, the same out; shapes stay.
#pragma once

#include "tensor/tensor.hpp"

namespace microtome {

Tensor exp(const Tensor& x);
Tensor log(const Tensor& x);  // natural; NaN below 0, -inf at 0

// max(x, 0); the derivative at 0 is 0. Saves one bit per element.
Tensor relu(const Tensor& x);

// x where the gate's bit is set, else 0. The gate is u8, ceil(elements / 8), element i at bit i % 8 of byte i
// / 8: the derivative of relu and its kind, linear in x.
Tensor apply_gate(const Tensor& x, const Tensor& gate);

}  // namespace microtome
