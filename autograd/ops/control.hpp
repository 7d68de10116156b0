// Ops that steer gradients rather than values.
#pragma once

#include "tensor/tensor.hpp"

#include <functional>
#include <string>

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

// x in another element type, rounded to nearest between floating types, where its gradient is cast back; to
// u8 and i64 it truncates towards zero and saturates, and no gradient flows. x itself where it has the type.
Tensor cast(const Tensor& x, Dtype dtype);

// A differentiable function that microtome knows nothing of: a library's, a simulator's, another framework's
// model. Between its inputs and outputs the tape sees one op. Its second derivative is a TapeError.
struct ExternalFunction {
    std::string name;                                          // for prints and errors
    std::function<Specs(const Specs&)> shape_rule;             // the outputs' specs from the inputs'
    std::function<Tensors(const Tensors&)> forward = nullptr;  // outputs from inputs, which it leaves alone
    // A gradient for each input, given inputs, outputs, and a cotangent for each output. An undefined entry
    // is zero. Without a vjp, asking for a gradient is a TapeError.
    std::function<Tensors(const Tensors& inputs, const Tensors& outputs, const Tensors& g)> vjp = nullptr;
};

// Runs it. ShapeError when it returns anything but what its shape_rule announced.
Tensors external(const ExternalFunction& function, const Tensors& inputs);
// One tensor in, one of the same shape and type out.
Tensor external(const std::string& name, const Tensor& x, const std::function<Tensor(const Tensor&)>& forward,
                const std::function<Tensor(const Tensor& x, const Tensor& g)>& vjp);

}  // namespace microtome
