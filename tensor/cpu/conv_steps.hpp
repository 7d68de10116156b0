// A convolution stage as its steps one by one: for any geometry, and what the faster ways are compared with.
#pragma once

#include "tensor/cpu/elementwise_table.hpp"
#include "tensor/cpu/pool_table.hpp"
#include "tensor/kernels/conv_stage.hpp"

namespace microtome::cpu {

// As kernels::conv_stage and its gradient, with the filters as they are.
void conv_steps(const kernels::ConvStage& stage, const float* x, const float* w, const float* bias,
                const float* residual, float* y, uint8_t* gate, const KernelContext& context);
void conv_steps_gradient(const kernels::ConvStage& stage, const float* g, const uint8_t* gate, const float* w,
                         float* dx, float* gated, const KernelContext& context);

std::size_t conv_steps_workspace(const kernels::ConvStage& stage, int threads);
std::size_t conv_steps_gradient_workspace(const kernels::ConvStage& stage, int threads);

// y = relu(y) and its gate (unless that is null) for all of a tensor.
void relu_in_place(float* y, int64_t elements, uint8_t* gate, int threads);
// Elements [first, first + count) of a tensor behind its gate of bits; g and `to` begin with the first of
// them.
void gate_elements(const float* g, const uint8_t* gate, int64_t first, int64_t count, float* to);
// All of a tensor.
void apply_gate(const float* g, const uint8_t* gate, int64_t elements, float* gated, int threads);

// The inner loops of the instruction set in use.
const PoolTable& pool_kernels();

}  // namespace microtome::cpu
