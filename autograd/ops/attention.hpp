// Attention: Vaswani et al. 2017, section 3.2.
#pragma once

#include "tensor/tensor.hpp"

namespace microtome {

// softmax(q k^T / sqrt(D)) v for q (..., T, D), k (..., S, D) and v (..., S, E): the formula in four ops, to
// read and to test against.
Tensor scaled_dot_product(const Tensor& q, const Tensor& k, const Tensor& v);

// The same for every head of packed queries, keys and values: qkv (N, T, 3, H, D) or (N, T, 3 H D), as timm's
// linear layer makes them, to (N, T, H D). The heads are read where they lie. Saves qkv only: its gradient,
// one fused op, calculates the probabilities again rather than keep T x T of them for each head. Throws
// ShapeError where T, H or D is 0, OptionsError where heads do not divide the width.
Tensor attention(const Tensor& qkv, int64_t heads);

// dL/dqkv (N, T, 3, H, D) from g = dL/dy (N, T, H D).
Tensor attention_input_gradient(const Tensor& g, const Tensor& qkv);

}  // namespace microtome
