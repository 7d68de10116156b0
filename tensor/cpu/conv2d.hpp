// The three convolutions in float: products of patch matrices, which are read from the images and never
// written down.
#pragma once

#include "tensor/conv_shape.hpp"
#include "tensor/kernels/context.hpp"
#include "tensor/kernels/epilogue.hpp"

#include <cstddef>

namespace microtome::cpu {

void conv2d(const ConvShape& shape, const float* x, const float* w, float* y, const KernelContext& context,
            const Epilogue<float>& epilogue);
void conv2d_input_gradient(const ConvShape& shape, const float* g, const float* w, float* dx,
                           const KernelContext& context);
void conv2d_weight_gradient(const ConvShape& shape, const float* x, const float* g, float* dw,
                            const KernelContext& context);

std::size_t conv2d_workspace(const ConvShape& shape, int threads);
std::size_t conv2d_input_gradient_workspace(const ConvShape& shape, int threads);
std::size_t conv2d_weight_gradient_workspace(const ConvShape& shape, int threads);

}  // namespace microtome::cpu
