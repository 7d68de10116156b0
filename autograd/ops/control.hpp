// Ops that steer gradients rather than values.
#pragma once

#include "tensor/tensor.hpp"

#include <functional>

namespace microtome {

// x, but no gradient flows back through it.
Tensor stop_gradient(const Tensor& x);

// The values of `value`, the gradient of `surrogate`: backward-pass differentiable approximation (Athalye,
// Carlini and Wagner 2018, section 4.1). Both have one shape; value is not followed.
Tensor replace_gradient(const Tensor& value, const Tensor& surrogate);

// The same from functions: forward(x) with the gradient of backward(x), such as rounding with that of
// identity.
Tensor replace_gradient(const Tensor& x, const std::function<Tensor(const Tensor&)>& forward,
                        const std::function<Tensor(const Tensor&)>& backward);

}  // namespace microtome
