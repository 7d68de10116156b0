// Multi-head self-attention on packed queries, keys and values. f32 or f64.
#pragma once

#include "tensor/kernels/context.hpp"
#include "tensor/tensor.hpp"

#include <cstddef>

namespace microtome::kernels {

// y (N, T, H D) = softmax(q k^T / sqrt(D)) v for each sample and head of qkv (N, T, 3, H, D), where q, k and
// v lie side by side and are read where they lie. The scores, T x T for each head, exist for a few samples at
// a time. No result depends on the other samples or on threads. T, H and D are at least 1.
void attention(const Tensor& qkv, Tensor& y, const KernelContext& context);

// dqkv from g = dL/dy. The scores are calculated again rather than kept.
void attention_input_gradient(const Tensor& g, const Tensor& qkv, Tensor& dqkv, const KernelContext& context);

// The workspace that either needs, in bytes.
std::size_t attention_workspace(const Spec& qkv);

}  // namespace microtome::kernels
