// Convolution to a few channels, neighbouring positions side by side in a vector.
#include "tensor/cpu/isa/strips.hpp"
#include "tensor/cpu/planar_table.hpp"

namespace microtome::cpu::MICROTOME_ISA_NAME {
namespace {

// Of positions; times 4 columns, the sums stay in registers. No more than 8 lanes: a load of neighbours is
// not aligned, and one of 16 floats would always meet two cache lines.
constexpr int kLanes = kWidth < 8 ? kWidth : 8;
constexpr int kVectors = kWidth == 16 ? 4 : 2;
using Positions = typename Vector<kLanes>::Type;
static_assert(kVectors * kLanes <= kPlanarPositions);
constexpr int64_t kBlock = 256;  // kSumBlock

void to_planes(const float* line, int64_t width, int64_t channels, int64_t left, int64_t plane_stride,
               float* planes) {
    // Where the line lies in a plane; it may stick out on either side.
    int64_t begin = left < 0 ? 0 : left, end = left + width < plane_stride ? left + width : plane_stride;
    if (line == nullptr || end < begin) begin = end = 0;
    for (int64_t c = 0; c < channels; ++c) {
        float* plane = planes + c * plane_stride;
        for (int64_t p = 0; p < begin; ++p) plane[p] = 0.0f;
        for (int64_t p = end; p < plane_stride; ++p) plane[p] = 0.0f;
    }
    int64_t p = begin;
    for (; p + 4 <= end; p += 4) {
        const float* from = line + (p - left) * channels;
        int64_t c = 0;
        for (; c + 4 <= channels; c += 4)
            transpose_4x4(from + c, channels, planes + c * plane_stride + p, plane_stride);
        for (; c < channels; ++c)
            for (int64_t q = 0; q < 4; ++q) planes[c * plane_stride + p + q] = from[q * channels + c];
    }
    for (; p < end; ++p)
        for (int64_t c = 0; c < channels; ++c) planes[c * plane_stride + p] = line[(p - left) * channels + c];
}

// kVectors * kLanes positions, of which `count` are stored.
template <int Columns>
MICROTOME_INLINE void positions(const Patches& s, const float* planes, int64_t plane_stride,
                                int64_t line_stride, const float* filter, int64_t count, float* y,
                                int64_t y_stride) {
    Positions total[Columns][kVectors] = {};
    const int64_t k = s.taps_h * s.taps_w * s.channels;
    int64_t tap = 0, channel = 0;
    for (int64_t block = 0; block < k; block += kBlock) {
        Positions sum[Columns][kVectors] = {};
        int64_t left = block + kBlock < k ? kBlock : k - block;
        while (left > 0) {
            const int64_t run = left < s.channels - channel ? left : s.channels - channel;
            const float* plane = planes + tap / s.taps_w * s.tap_h * line_stride + tap % s.taps_w * s.tap_w +
                                 channel * plane_stride;
            for (int64_t i = 0; i < run; ++i, plane += plane_stride, filter += Columns) {
                for (int v = 0; v < kVectors; ++v) {  // outermost, or gcc keeps what it has loaded in memory
                    const Positions g = load_lanes<kLanes>(plane + v * kLanes);
                    for (int c = 0; c < Columns; ++c)
                        sum[c][v] = fma_lanes<kLanes>(g, filter[c] - Positions{}, sum[c][v]);
                }
            }
            left -= run, channel += run;
            if (channel == s.channels) channel = 0, ++tap;
        }
        for (int c = 0; c < Columns; ++c)
            for (int v = 0; v < kVectors; ++v) total[c][v] = block == 0 ? sum[c][v] : total[c][v] + sum[c][v];
    }
    float row[Columns][kVectors * kLanes];
    for (int c = 0; c < Columns; ++c)
        for (int v = 0; v < kVectors; ++v) store_lanes<kLanes>(row[c] + v * kLanes, total[c][v]);
    for (int64_t j = 0; j < count; ++j, y += y_stride)
        for (int c = 0; c < Columns; ++c) y[c] = row[c][j];
}

template <int Columns>
void line_of(const Patches& s, const float* planes, int64_t plane_stride, int64_t line_stride,
             const float* filter, float* y, int64_t y_stride) {
    constexpr int64_t step = kVectors * kLanes;
    for (int64_t j = 0; j < s.grid_w; j += step)
        positions<Columns>(s, planes + j, plane_stride, line_stride, filter,
                           s.grid_w - j < step ? s.grid_w - j : step, y + j * y_stride, y_stride);
}

void line(const Patches& s, const float* planes, int64_t plane_stride, int64_t line_stride,
          const float* filter, int64_t columns, float* y, int64_t y_stride) {
    switch (columns) {
        case 1: return line_of<1>(s, planes, plane_stride, line_stride, filter, y, y_stride);
        case 2: return line_of<2>(s, planes, plane_stride, line_stride, filter, y, y_stride);
        case 3: return line_of<3>(s, planes, plane_stride, line_stride, filter, y, y_stride);
        default: return line_of<4>(s, planes, plane_stride, line_stride, filter, y, y_stride);
    }
}

}  // namespace

extern const PlanarTable planar_table = {to_planes, line};

}  // namespace microtome::cpu::MICROTOME_ISA_NAME
