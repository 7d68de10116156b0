// Functions of one element at a time. f32 or f64 in, the same out; shapes stay, or broadcast where there are
// several arguments.
#pragma once

#include "tensor/tensor.hpp"

namespace microtome {

Tensor exp(const Tensor& x);
Tensor log(const Tensor& x);   // natural; NaN below 0, -inf at 0
Tensor sqrt(const Tensor& x);  // NaN below 0; the derivative at 0 is infinite
Tensor square(const Tensor& x);
Tensor reciprocal(const Tensor& x);
Tensor sin(const Tensor& x);  // of radians, |x| up to 2^20
Tensor cos(const Tensor& x);

// x^exponent, as C's pow. By the exponent there is a derivative where x > 0; elsewhere it is taken as 0.
Tensor power(const Tensor& x, const Tensor& exponent);
Tensor power(const Tensor& x, double exponent);

// |x|; the derivative at 0 is 0.
Tensor abs(const Tensor& x);
// -1, 0 or 1; sign(0) = 0. Without gradient.
Tensor sign(const Tensor& x);

// The largest integer not above x, and the nearest one, ties to even. Without gradient.
Tensor floor(const Tensor& x);
Tensor round(const Tensor& x);

// The smaller and the larger of two. Where they are equal the gradient goes to the first argument. NaN goes
// through.
Tensor minimum(const Tensor& a, const Tensor& b);
Tensor maximum(const Tensor& a, const Tensor& b);
// x moved to the nearer end of [low, high]. The derivative is 1 strictly between the ends and 0 at them and
// outside. Saves one bit per element. Throws OptionsError unless low <= high. For ends that are tensors:
// minimum(maximum(x, low), high).
Tensor clamp(const Tensor& x, double low, double high);

// a b + c, rounded once.
Tensor multiply_add(const Tensor& a, const Tensor& b, const Tensor& c);

Tensor erf(const Tensor& x);  // 2 / sqrt(pi) times the integral of e^(-t^2) from 0 to x
Tensor tanh(const Tensor& x);
Tensor sigmoid(const Tensor& x);   // 1 / (1 + e^-x)
Tensor softplus(const Tensor& x);  // log(1 + e^x), without overflow

// max(x, 0); the derivative at 0 is 0. Saves one bit per element.
Tensor relu(const Tensor& x);
// min(max(x, 0), 6); the derivative at 0 and at 6 is 0. Saves one bit per element. Howard et al. 2017,
// MobileNets.
Tensor relu6(const Tensor& x);

// x Phi(x), Phi the standard normal distribution function: Hendrycks and Gimpel 2016, section 2. gelu_tanh is
// the approximation given there, x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2. With derivatives, which
// their gradients are made of.
Tensor gelu(const Tensor& x);
Tensor gelu_derivative(const Tensor& x);
Tensor gelu_tanh(const Tensor& x);
Tensor gelu_tanh_derivative(const Tensor& x);

// x where the gate's bit is set, else 0. The gate is u8, ceil(elements / 8), element i at bit i % 8 of byte i
// / 8: the derivative of relu and its kind, linear in x.
Tensor apply_gate(const Tensor& x, const Tensor& gate);

}  // namespace microtome
