// The transforms of Winograd's convolution, one table per instruction set.
//
// F(4x4, 3x3) (Winograd 1980; Lavin & Gray 2016, "Fast algorithms for convolutional neural networks",
// section 4.3): 4x4 results of a 3x3 filter, from the 6x6 pixels d that they meet, are
//
//     A^T [ (G w G^T) * (B^T d B) ] A,
//
// with * element by element: 36 multiplications in place of 144. Summed over channels, these are 36 matrix
// products (positions by channels by results), between a transform of pixels and one of sums.
//
// Included by files that are compiled once per instruction set: no standard header with inline code here.
#pragma once

#include <cstdint>

namespace microtome::cpu {

constexpr int64_t kWinogradTile = 4;   // results on a side
constexpr int64_t kWinogradPatch = 6;  // pixels on a side
constexpr int64_t kWinogradPoints = 36;

// A tile of results from its 36 sums.
struct WinogradOutput {
    const float* sums;  // (point, result), `stride` from a point to the next
    int64_t stride;
    int64_t columns;        // results; a multiple of 16
    int64_t lines, count;   // of the tile that count, 1 to 4; with pool even
    const float* bias;      // or null
    const float* residual;  // laid out as y, or null
    bool relu, pool;        // pool: windows of 2x2 become one of y
    float* y;
    int64_t y_line, y_step;  // floats to the next line, the next position; with pool of y's
    uint8_t* gate;           // of y, or null: a byte for each element with pool, else a bit
};

struct WinogradTable {
    // v[point][c] = B^T d B for the 6x6 pixels at x, `line` floats from a line to the next and `channels`, a
    // multiple of 16, from a pixel to the next; `stride` from a point to the next.
    void (*input)(const float* x, int64_t line, int64_t channels, float* v, int64_t stride);
    void (*output)(const WinogradOutput& output);
};

namespace reference {
extern const WinogradTable winograd_table;
}
#if defined(__x86_64__)
namespace avx2 {
extern const WinogradTable winograd_table;
}
namespace avx512 {
extern const WinogradTable winograd_table;
}
#endif

}  // namespace microtome::cpu
