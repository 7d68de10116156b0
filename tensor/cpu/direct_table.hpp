// The inner loop of convolutions that read an image where it lies, one table per instruction set.
//
// In NHWC the taps of a filter's row, times their channels, lie side by side, so that a position's sum is a
// few runs of memory, one for each row of the filter, and the next position's are the same runs a step
// further. A tile of 2 x 6 positions by 32 results (on AVX-512) stays in registers until its sums are
// complete, and is finished there: bias, residual, ReLU and pooling cost no memory.
//
// Included by files that are compiled once per instruction set: no standard header with inline code here.
#pragma once

#include "tensor/cpu/gemm_table.hpp"

#include <cstdint>

namespace microtome::cpu {

// Filters are packed as strips of 16 results: [k][16], then the next 16; the last is as narrow as 4 or 8
// where few are left, padded with zeros. The same for all instruction sets. The kernel is given two strips at
// a time.
constexpr int64_t kDirectStrip = 16;
constexpr int64_t kDirectColumns = 32;

// Positions of one line of the result, or of two lines one below the other, by the results of one strip.
struct DirectLines {
    // Where the elements of a sum lie, from the first on, in the order of the sum. No run crosses a block of
    // kSumBlock; the runs of block b end before block_ends[b].
    const Run* runs;
    const int64_t* block_ends;
    int64_t blocks;

    const float* strips;
    int64_t strip_floats;  // from one to the next
    int64_t columns;       // kDirectColumns or fewer

    int64_t lines;      // 1 or 2
    const float* x[2];  // the first element of each line's first position
    int64_t count;      // positions of a line; even with pool
    int64_t step;       // floats from a position to the next

    const float* bias;         // of the strip's columns, or null
    const float* residual[2];  // or null, laid out as y
    bool relu, pool;           // pool: two lines of positions become one of y
    float* y[2];
    int64_t y_step;    // floats from a position of y to the next
    uint8_t* gate[2];  // of y[0], y[1], or null: a byte for each element with pool, else a bit
};

struct DirectTable {
    bool packs_gates;  // whether bits are written; then y_step and columns are multiples of 8
    void (*lines)(const DirectLines& lines);
};

namespace reference {
extern const DirectTable direct_table;
}
#if defined(__x86_64__)
namespace avx2 {
extern const DirectTable direct_table;
}
namespace avx512 {
extern const DirectTable direct_table;
}
#endif

}  // namespace microtome::cpu
