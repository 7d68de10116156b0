// The input gradient of images of few channels: every attack on a picture ends with one.
#pragma once

#include "tensor/conv_shape.hpp"
#include "tensor/cpu/gemm.hpp"
#include "tensor/kernels/context.hpp"

#include <cstddef>
#include <cstdint>

namespace microtome::cpu {

// Whether the functions below serve the input gradient of this geometry well.
bool is_planar(const ConvShape& shape);

// Correlates `images` images of g, one position next to another, with filter (taps_h, taps_w, channels,
// columns). `result` is a grid of the patches' positions.
void planar(const Patches& patches, const float* g, int64_t images, const float* filter, int64_t columns,
            const Result& result, const KernelContext& context);

std::size_t planar_workspace(const Patches& patches, int threads);

}  // namespace microtome::cpu
