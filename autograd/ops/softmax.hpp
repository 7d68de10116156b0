// Softmax and its logarithm over the last axis, computed after subtracting each row's maximum, so that no
// logit overflows. A row of size 0 is a ShapeError.
#pragma once

#include "tensor/tensor.hpp"

namespace microtome {

Tensor softmax(const Tensor& x);
Tensor log_softmax(const Tensor& x);

// log(sum(exp(x))), the last axis dropped.
Tensor logsumexp(const Tensor& x);

}  // namespace microtome
