// The inner loops of input gradients behind a pooling, one table per instruction set.
//
// Behind maxima of 2x2 pixels at least three quarters of a gradient are 0, and which is known from the gate:
// for every window and channel the one pixel that won, if any. So a window's contribution to dx is a sum over
// its live channels of g times a filter, placed where the pixel is. Sets of live channels are words of bits,
// taken apart bit by bit.
//
// Included by files that are compiled once per instruction set: no standard header with inline code here.
#pragma once

#include <cstdint>

namespace microtome::cpu {

constexpr int64_t kSparseChunk = 32;  // channels of dx at a time; the last may have 16
constexpr int64_t kSparsePatch =
    48;  // floats of the patch of dx that a window meets, where dx has few channels
constexpr int64_t kSparseTaps = 3;  // of a filter's row, where dx has many

// One line of windows, seen by one row of taps and one of the two lines of their pixels.
struct SparseSweep {
    const float* g;         // (windows, channels)
    const uint64_t* masks;  // (windows, words of 64 channels, winner)
    int64_t windows, channels;
    int64_t line;         // of pixels: 0 or 1
    const float* filter;  // (channels, 3 taps, width)
    int64_t width;        // 16 or 32
    float* sums;    // of a line of dx: the first tap's column of the first window; 2 * windows + 2 columns
    int64_t pixel;  // floats from a column to the next
};

// One line of windows, where dx has few channels.
struct SparsePatches {
    const float* g;
    const uint8_t* gate;
    int64_t windows, channels;
    const float* filters;  // (channels, winner, floats of a patch rounded up to 16)
    int64_t lines, line,
        columns;         // of a patch: lines, floats of one; floats of dx from one window to the next
    float* const* sums;  // of each line of dx that the windows meet
};

struct SparseTable {
    // masks[window][word][winner]: the channels, of 64, whose window the pixel won.
    void (*masks)(const uint8_t* gate, int64_t windows, int64_t channels, uint64_t* masks);
    void (*sweep)(const SparseSweep& sweep);
    void (*patches)(const SparsePatches& patches);
};

namespace reference {
extern const SparseTable sparse_table;
}
#if defined(__x86_64__)
namespace avx2 {
extern const SparseTable sparse_table;
}
namespace avx512 {
extern const SparseTable sparse_table;
}
#endif

}  // namespace microtome::cpu
