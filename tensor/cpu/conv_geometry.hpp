// Which pixels a convolution's filters meet, going forward and going back.
#pragma once

#include "tensor/conv_shape.hpp"
#include "tensor/cpu/gemm_table.hpp"

#include <cstdint>
#include <numeric>

namespace microtome::cpu {

// The patches of x that the filters meet: row (n, i, j), column (p, q, c) of the group.
inline Patches input_patches(const ConvShape& s) {
    return {.height = s.h,
            .width = s.w,
            .pixel_stride = s.c,
            .channels = s.group_c(),
            .grid_h = s.oh,
            .grid_w = s.ow,
            .step_h = s.stride_h,
            .step_w = s.stride_w,
            .taps_h = s.kh,
            .taps_w = s.kw,
            .tap_h = s.dilation_h,
            .tap_w = s.dilation_w,
            .origin_h = -s.pad_top,
            .origin_w = -s.pad_left};
}

// With a stride, the rows of x fall into as many phases, each met by some of the filter's rows only: those
// p for which row + pad - p * dilation is a multiple of the stride. Within a phase the input gradient is a
// dense convolution of g. The same holds for columns.
struct Phase {
    int64_t rows;      // rows of x in the phase: `start` and those a stride apart that follow
    int64_t last_tap;  // the largest p; they are counted down, so that rows of g are counted up
    int64_t taps;      // how many
    int64_t tap_step;  // from one p to the next smaller
    int64_t reach;     // how far apart in g the taps are
    int64_t origin;    // the row of g that `last_tap` sends to row `start`

    Phase(int64_t start, int64_t size, int64_t kernel, int64_t stride, int64_t dilation, int64_t pad)
        : rows(size > start ? (size - start - 1) / stride + 1 : 0) {
        tap_step = stride / std::gcd(stride, dilation);
        reach = dilation * tap_step / stride;
        last_tap = kernel - 1;
        while (last_tap >= 0 && last_tap > kernel - 1 - tap_step &&
               (start + pad - last_tap * dilation) % stride != 0)
            --last_tap;
        bool met = last_tap >= 0 && (start + pad - last_tap * dilation) % stride == 0;
        taps = met ? last_tap / tap_step + 1 : 0;
        origin = met ? (start + pad - last_tap * dilation) / stride : 0;
    }

    int64_t tap(int64_t t) const { return last_tap - t * tap_step; }
};

// The patches of g that the rows and columns of one phase are met by.
inline Patches gradient_patches(const ConvShape& s, const Phase& rows, const Phase& columns) {
    return {.height = s.oh,
            .width = s.ow,
            .pixel_stride = s.o,
            .channels = s.group_o(),
            .grid_h = rows.rows,
            .grid_w = columns.rows,
            .step_h = 1,
            .step_w = 1,
            .taps_h = rows.taps,
            .taps_w = columns.taps,
            .tap_h = rows.reach,
            .tap_w = columns.reach,
            .origin_h = rows.origin,
            .origin_w = columns.origin};
}

}  // namespace microtome::cpu
