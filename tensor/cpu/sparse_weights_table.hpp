// The inner loops of weight gradients behind a pooling, one table per instruction set.
//
// dw[o] is the sum over all pixels of g times the patch of x around the pixel, and behind maxima of 2x2
// pixels g is 0 but for one pixel of a window at most. So each filter has a list of the pixels that count in
// a tile of windows, and its sums stay in registers from the first of them to the last.
//
// Included by files that are compiled once per instruction set: no standard header with inline code here.
#pragma once

#include <cstdint>

namespace microtome::cpu {

constexpr int64_t kSparseWindows = 32;  // of a tile, at most

// A pixel that won its window, for one filter.
struct SparseEntry {
    int32_t at;  // floats from the tile's begin to the pixel's first tap
    float g;
};

// The lists of all filters for a tile of windows.
struct SparseLists {
    const float* g;
    const uint8_t* gate;
    int64_t lines, windows;     // of the tile; lines * windows <= kSparseWindows
    int64_t line;               // elements of g from one line of windows to the next
    int64_t filters;            // elements of g from one window to the next
    int64_t at_line, at_pixel;  // floats of the tile from one line of pixels to the next, and from one pixel
    SparseEntry* entries;       // (filter, kSparseWindows)
    int32_t* counts;            // of each filter's entries
};

// sums[o] += the sum of o's entries, each g times `rows` runs of x.
struct SparseRows {
    const SparseEntry* entries;
    const int32_t* counts;
    int64_t filters;
    const float* x;           // the tile
    int64_t rows, line, run;  // rows of taps, floats of x from one to the next, floats of one: 32, 48 or 96
    float* sums;              // (filter, rows, run)
    int64_t sums_step;        // from one filter to the next
    float* bias;              // bias[o] += the sum of o's g, unless null
};

struct SparseWeightsTable {
    void (*lists)(const SparseLists& lists);
    void (*rows)(const SparseRows& rows);
};

namespace reference {
extern const SparseWeightsTable sparse_weights_table;
}
#if defined(__x86_64__)
namespace avx2 {
extern const SparseWeightsTable sparse_weights_table;
}
namespace avx512 {
extern const SparseWeightsTable sparse_weights_table;
}
#endif

}  // namespace microtome::cpu
