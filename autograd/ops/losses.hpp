// Losses per sample: (N, C) logits to (N). Tape::gradient() of such a loss is the gradient of the sum, so
// that each image's input gradient is its own whatever batch it sits in; training takes the mean().
#pragma once

#include "tensor/tensor.hpp"

namespace microtome {

// -log softmax(logits)[label]. Targets are classes, i64 (N), or distributions, of the logits' type (N, C),
// whose rows need not sum to 1. Throws ShapeError for a label outside [0, C).
Tensor cross_entropy(const Tensor& logits, const Tensor& targets);

}  // namespace microtome
