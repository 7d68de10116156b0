// Depthwise convolution in float: one input and one output channel to a group.
#pragma once

#include "tensor/conv_shape.hpp"
#include "tensor/kernels/context.hpp"
#include "tensor/kernels/epilogue.hpp"

#include <cstddef>

namespace microtome::cpu {

// Whether the functions below serve this geometry: a filter's taps must fit into one block of the sum.
bool is_depthwise(const ConvShape& shape);

void depthwise(const ConvShape& shape, const float* x, const float* w, float* y, const KernelContext& context,
               const Epilogue<float>& epilogue);
void depthwise_input_gradient(const ConvShape& shape, const float* g, const float* w, float* dx,
                              const KernelContext& context);
void depthwise_weight_gradient(const ConvShape& shape, const float* x, const float* g, float* dw,
                               const KernelContext& context);

std::size_t depthwise_workspace(const ConvShape& shape);  // of the first two
std::size_t depthwise_weight_gradient_workspace(const ConvShape& shape);

}  // namespace microtome::cpu
