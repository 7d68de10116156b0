// The inner loops of the input gradient of an image of few channels, one table per instruction set.
//
// A product with 3 result columns would leave most lanes of a vector idle. Here the lanes are neighbouring
// positions instead: a few lines of g are transposed to planes, one per channel, and then every tap of the
// filter is a load of neighbours and 3 multiply-adds.
//
// Included by files that are compiled once per instruction set: no standard header with inline code here.
#pragma once

#include "tensor/cpu/gemm_table.hpp"

#include <cstdint>

namespace microtome::cpu {

constexpr int64_t kPlanarColumns = 4;     // result channels at most
constexpr int64_t kPlanarPositions = 64;  // calculated at a time by the widest set; planes have room for them

struct PlanarTable {
    // planes[channel][left + w] = line[w][channel]; zero before and behind. `line` may be null: all zero.
    void (*to_planes)(const float* line, int64_t width, int64_t channels, int64_t left, int64_t plane_stride,
                      float* planes);

    // y[j][c] = sum over taps (t, u) and channels of planes[t * tap_h][channel][j + u * tap_w] times
    // filter[t][u][channel][c], for all positions j of one line; line_stride is from one line of planes to
    // the next, pixels of y are y_stride apart. The sum is one slice of OrderedSum.
    void (*line)(const Patches& patches, const float* planes, int64_t plane_stride, int64_t line_stride,
                 const float* filter, int64_t columns, float* y, int64_t y_stride);
};

namespace reference {
extern const PlanarTable planar_table;
}
#if defined(__x86_64__)
namespace avx2 {
extern const PlanarTable planar_table;
}
namespace avx512 {
extern const PlanarTable planar_table;
}
#endif

}  // namespace microtome::cpu
