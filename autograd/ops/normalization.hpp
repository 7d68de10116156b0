// Normalisation. Channels are the last axis, in NHWC as in (N, C); gamma, beta, mean and variance are (C),
// all of one type. eps > 0 is added to the variance, or OptionsError.
#pragma once

#include "tensor/tensor.hpp"

namespace microtome {

struct BatchNormResult {
    Tensor y;
    Tensor mean, variance;  // (C), of this batch; the variance is biased, divided by the number of rows
};

// y = gamma (x - mean) / sqrt(variance + eps) + beta with each channel's mean and variance over all other
// axes: Ioffe and Szegedy 2015, algorithm 1. Pure: who keeps running values takes them from the outputs,
// which have gradients too. One row has variance 0, y = beta, and a gradient of 0 by x. Saves x and the two
// statistics; its gradient is one fused op. Throws ShapeError where there is no row to average.
BatchNormResult batch_norm_train(const Tensor& x, const Tensor& gamma, const Tensor& beta, double eps);

// The same with mean and variance given, as in evaluation and for frozen layers: one multiply-add per
// element. Differentiable by all five.
Tensor batch_norm_inference(const Tensor& x, const Tensor& gamma, const Tensor& beta, const Tensor& mean,
                            const Tensor& variance, double eps);

// The same over the last axis, row by row: Ba, Kiros and Hinton 2016, with gamma and beta of that axis's
// size. Saves x, whose statistics are taken again in the gradient. Throws ShapeError for rows of size 0.
Tensor layer_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, double eps);

// The gradients of the two from that of y, as fused ops. With x' = (x - mean) / sqrt(variance + eps) and
// averages over the rows of a channel:
//     dgamma = sum(g x'),  dbeta = sum(g),  dx = gamma (g - mean(g) - x' mean(g x')) / sqrt(variance + eps)
// As a function of its five arguments: mean and variance count as given. For layer norm the averages go over
// a row and gamma stands beside g; its statistics are x's own.
struct BatchNormGradients {
    Tensor x, gamma, beta;
};
BatchNormGradients batch_norm_gradient(const Tensor& g, const Tensor& x, const Tensor& gamma,
                                       const Tensor& mean, const Tensor& variance, double eps);
Tensor layer_norm_input_gradient(const Tensor& g, const Tensor& x, const Tensor& gamma, double eps);

}  // namespace microtome
