// Losses per sample: (N, C) logits to (N). Tape::gradient() of such a loss is the gradient of the sum, so
// that each image's input gradient is its own whatever batch it sits in; training takes the mean().
// Labels are classes, i64 (N), or ShapeError where one lies outside [0, C).
#pragma once

#include "tensor/tensor.hpp"

namespace microtome {

// -log softmax(logits)[label]. Targets are classes, i64 (N), or distributions, of the logits' type (N, C),
// whose rows need not sum to 1.
Tensor cross_entropy(const Tensor& logits, const Tensor& targets);

// For labels that do not exclude one another: the sum over the classes of -t log p - (1 - t) log(1 - p) with
// p = sigmoid(logits) and targets t of the logits' type and shape (N, C). Taken as t softplus(-z) +
// (1 - t) softplus(z), which neither overflows nor cancels.
Tensor binary_cross_entropy_with_logits(const Tensor& logits, const Tensor& targets);

// KL(P || Q) = sum of P log(P / Q), P = softmax(p_logits), Q = softmax(q_logits), both (N, C). With P of the
// clean and Q of the attacked image this is the term of TRADES (Zhang et al. 2019, equation 5). The gradient
// goes to both.
Tensor kl_divergence(const Tensor& p_logits, const Tensor& q_logits);

// z_y - max over j != y of z_j: positive where the label wins (Carlini and Wagner 2017, f_6 with its sign
// turned). The gradient of the maximum goes to the first of equals. ShapeError for fewer than two classes.
Tensor margin(const Tensor& logits, const Tensor& labels);

// The mean of (prediction - target)^2 over all axes but the first. Both have one type and shape.
Tensor mean_squared_error(const Tensor& prediction, const Tensor& target);

// (N, classes): 1 at the label, else 0. f32 or f64.
Tensor one_hot(const Tensor& labels, int64_t classes, Dtype dtype = Dtype::f32);

// Soft targets for cross_entropy: 1 - amount for the label, and amount shared evenly by all classes, the
// label's own included: Szegedy et al. 2016, section 7. 0 <= amount <= 1, or OptionsError.
Tensor smooth_labels(const Tensor& labels, int64_t classes, double amount, Dtype dtype = Dtype::f32);

}  // namespace microtome
