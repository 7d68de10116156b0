// The lines of images that a piece of a convolution reads, with zeros around them, behind a gate or a
// pooling.
#pragma once

#include "tensor/cpu/gemm_table.hpp"

#include <cstdint>

namespace microtome::cpu {

// Images (N, H, W, C), or what becomes of them behind a gate: each element where its bit is set; or, where
// they are gradients of maxima over 2x2 pixels, (N, H / 2, W / 2, C), at the pixel that won.
struct Source {
    const float* data = nullptr;
    const uint8_t* gate = nullptr;
    bool pooled = false;  // then `gate` has a byte for each element

    bool plain() const { return !pooled && gate == nullptr; }
};

// Lines [first, first + lines) of image n of `source`, channels whole, from column `left` on: `columns` of
// them. Where there is no image it is 0.
void load_band(const Source& source, const Patches& images, int64_t n, int64_t first, int64_t lines,
               int64_t left, int64_t columns, float* band);

}  // namespace microtome::cpu
