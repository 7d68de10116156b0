// Convolution stages and their input gradients by F(4x4, 3x3): 2 to 2.5 times as fast as summing directly.
//
// Not exact in the sense of kernels::ConvStage: kernels::kConvStageError says how near it is.
#pragma once

#include "tensor/kernels/conv_stage.hpp"

namespace microtome::cpu {

// Whether the functions below serve this geometry; they are as those of kernels/conv_stage.hpp.
bool is_winograd_stage(const kernels::ConvStage& stage);
std::size_t winograd_filters(const kernels::ConvStage& stage);  // of a stage and of its gradient
void pack_winograd_filters(const kernels::ConvStage& stage, const float* w, float* packed);
void winograd_stage(const kernels::ConvStage& stage, const float* x, const float* packed, const float* bias,
                    const float* residual, float* y, uint8_t* gate, const KernelContext& context);
std::size_t winograd_stage_workspace(const kernels::ConvStage& stage, int threads);

bool is_winograd_gradient(const kernels::ConvStage& stage);
void pack_winograd_gradient_filters(const kernels::ConvStage& stage, const float* w, float* packed);
void winograd_gradient(const kernels::ConvStage& stage, const float* g, const uint8_t* gate,
                       const float* packed, float* dx, float* gated, const KernelContext& context);
std::size_t winograd_gradient_workspace(const kernels::ConvStage& stage, int threads);

}  // namespace microtome::cpu
