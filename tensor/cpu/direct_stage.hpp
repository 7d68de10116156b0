// Convolution stages by the direct kernel, exact: with one group, and whatever strides and dilations.
#pragma once

#include "tensor/kernels/conv_stage.hpp"

namespace microtome::cpu {

// Whether the functions below serve this geometry; they are as those of kernels/conv_stage.hpp.
bool is_direct_stage(const kernels::ConvStage& stage);
std::size_t direct_stage_filters(const kernels::ConvStage& stage);
void pack_direct_stage_filters(const kernels::ConvStage& stage, const float* w, float* packed);
void direct_stage(const kernels::ConvStage& stage, const float* x, const float* packed, const float* bias,
                  const float* residual, float* y, uint8_t* gate, const KernelContext& context);
std::size_t direct_stage_workspace(const kernels::ConvStage& stage, int threads);

bool is_direct_gradient(const kernels::ConvStage& stage);
std::size_t direct_gradient_filters(const kernels::ConvStage& stage);
void pack_direct_gradient_filters(const kernels::ConvStage& stage, const float* w, float* packed);
void direct_gradient(const kernels::ConvStage& stage, const float* g, const uint8_t* gate,
                     const float* packed, float* dx, float* gated, const KernelContext& context);
std::size_t direct_gradient_workspace(const kernels::ConvStage& stage, int threads);

}  // namespace microtome::cpu
