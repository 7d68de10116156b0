// The input gradient of a stage that pools, from the pixels that won alone.
//
// Not exact in the sense of kernels::ConvStage, because the products with 0 that it leaves out were part of
// the order of the sum; it makes no rounding worse than the ordered sum's, having fewer of them.
#pragma once

#include "tensor/kernels/conv_stage.hpp"

namespace microtome::cpu {

// Whether the functions below serve this geometry; they are as those of kernels/conv_stage.hpp.
bool is_sparse_gradient(const kernels::ConvStage& stage);
std::size_t sparse_gradient_filters(const kernels::ConvStage& stage);
void pack_sparse_gradient_filters(const kernels::ConvStage& stage, const float* w, float* packed);
void sparse_gradient(const kernels::ConvStage& stage, const float* g, const uint8_t* gate,
                     const float* packed, float* dx, const KernelContext& context);
std::size_t sparse_gradient_workspace(const kernels::ConvStage& stage, int threads);

}  // namespace microtome::cpu
