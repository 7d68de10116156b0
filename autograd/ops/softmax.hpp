// Softmax and its logarithm over the last axis, computed after subtracting each row's maximum, so that no
// logit overflows. A row of size 0 is a ShapeError.
#pragma once

#include "tensor/tensor.hpp"

namespace microtome {

Tensor softmax(const Tensor& x);
Tensor log_softmax(const Tensor& x);

// log(sum(exp(x))), the last axis dropped.
Tensor logsumexp(const Tensor& x);

// The gradient of softmax from that of its output y: y (g - <g, y>), row by row. The Jacobian of softmax is
// symmetric, so this is also its directional derivative.
Tensor softmax_input_gradient(const Tensor& g, const Tensor& y);

}  // namespace microtome
