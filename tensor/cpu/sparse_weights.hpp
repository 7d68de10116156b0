// The weight gradient of a convolution behind a ReLU and a pooling, from the pixels that won alone.
#pragma once

#include "tensor/conv_shape.hpp"
#include "tensor/kernels/context.hpp"

#include <cstddef>
#include <cstdint>

namespace microtome::cpu {

// Whether this geometry has enough to gain: filters of 3 columns on channels in sixteens, or of no more than
// 32 taps in all, without a stride, dilation or groups, and sums that fit in the second-level cache.
bool is_sparse_weight_gradient(const ConvShape& shape);

// dw (O, KH, KW, C) and dbias (O) from x (N, H, W, C), g (N, OH / 2, OW / 2, O) and the gate of a stage that
// pools (kernels/conv_stage.hpp). Sums are those of tiles of at most 32 windows, of the tiles of a sixteenth
// of the images, and of these, in this order; so the bits depend on the batch, and on nothing else.
void sparse_weight_gradient(const ConvShape& shape, const float* x, const float* g, const uint8_t* gate,
                            float* dw, float* dbias, const KernelContext& context);
std::size_t sparse_weight_gradient_workspace(const ConvShape& shape, int threads);

}  // namespace microtome::cpu
