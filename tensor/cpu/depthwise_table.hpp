// The inner loops of depthwise convolution, one table per instruction set. Every channel has a filter of its
// own and sees no other: nothing is shared that packing could bring together, so the images are read
// directly, a vector of channels at a time.
//
// Included by files that are compiled once per instruction set: no standard header with inline code here.
#pragma once

#include "tensor/cpu/gemm_table.hpp"

#include <cstdint>

namespace microtome::cpu {

struct DepthwiseTable {
    // y[j][c] = or += sum over taps of patch (i, j) times filter[tap][c], for one line i of positions of one
    // image. Pixels of y are y_stride apart.
    void (*line)(const Patches& patches, const float* image, int64_t i, const float* filter, float* y,
                 int64_t y_stride, bool add);

    // sums[c] = sum over positions [first, first + count) of pixel (position, tap (t, u)) of x times g, for
    // channels [channel, channel + channels).
    void (*weight_sums)(const Patches& patches, const float* x, const float* g, int64_t t, int64_t u,
                        int64_t first, int64_t count, int64_t channel, int64_t channels, float* sums);
};

namespace reference {
extern const DepthwiseTable depthwise_table;
}
#if defined(__x86_64__)
namespace avx2 {
extern const DepthwiseTable depthwise_table;
}
namespace avx512 {
extern const DepthwiseTable depthwise_table;
}
#endif

}  // namespace microtome::cpu
