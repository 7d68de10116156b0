// Maxima over windows, those of 2x2 pixels behind a ReLU, and the way back, one table per instruction set.
//
// Included by files that are compiled once per instruction set: no standard header with inline code here.
#pragma once

#include <cstdint>

namespace microtome::cpu {

constexpr uint8_t kShut = 4;  // in a gate: the ReLU let nothing through. 0 to 3 is the pixel that won.

struct PoolTable {
    // y[c] = the largest of pixels[t][c] over t < count, and in winner[c] (null: not wanted) numbers[t] of
    // it. The first of equals wins; NaN wins over everything.
    void (*max_window)(const float* const* pixels, const uint8_t* numbers, int64_t count, int64_t channels,
                       float* y, uint8_t* winner);

    // A line of y: maxima of relu(x) over windows of 2x2 pixels, whose lines are `top` and `bottom`, and its
    // gate, unless that is null. The first of equals wins; NaN wins over all before it, and the gate is shut
    // for it.
    void (*relu_pool)(const float* top, const float* bottom, int64_t windows, int64_t channels, float* y,
                      uint8_t* gate);

    // One of the two lines of pixels under a line of windows: g where the gate says that the pixel won, else
    // 0.
    void (*unpool)(const float* g, const uint8_t* gate, int64_t windows, int64_t channels, int line,
                   float* x);
};

namespace reference {
extern const PoolTable pool_table;
}
#if defined(__x86_64__)
namespace avx2 {
extern const PoolTable pool_table;
}
namespace avx512 {
extern const PoolTable pool_table;
}
#endif

}  // namespace microtome::cpu
