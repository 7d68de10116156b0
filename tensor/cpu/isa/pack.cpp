// Bringing the operands of a matrix product into the order in which its inner loop reads them.
#include "tensor/cpu/gemm_table.hpp"
#include "tensor/cpu/isa/strips.hpp"

namespace microtome::cpu::MICROTOME_ISA_NAME {
namespace {

MICROTOME_INLINE int64_t at_least(int64_t a, int64_t b) {
    return a > b ? a : b;
}
MICROTOME_INLINE int64_t at_most(int64_t a, int64_t b) {
    return a < b ? a : b;
}

// Runs are short and of any length: whole vectors, then one more that ends where the run ends.
template <int Lanes>
MICROTOME_INLINE void copy_overlapping(float* to, const float* from, int64_t n) {
    for (int64_t i = 0; i + Lanes < n; i += Lanes) store_lanes<Lanes>(to + i, load_lanes<Lanes>(from + i));
    store_lanes<Lanes>(to + n - Lanes, load_lanes<Lanes>(from + n - Lanes));
}
MICROTOME_INLINE void copy(float* to, const float* from, int64_t n) {
    if (n >= kWidth) return copy_overlapping<kWidth>(to, from, n);
    if (n >= 4) return copy_overlapping<4>(to, from, n);
    for (int64_t i = 0; i < n; ++i) to[i] = from[i];
}
MICROTOME_INLINE void zero(float* to, int64_t n) {
    for (int64_t i = 0; i < n; ++i) to[i] = 0.0f;
}

// Elements [begin, end) of the patch whose first tap meets pixel (row, column) of the image.
MICROTOME_INLINE void gather_patch(const Patches& s, const float* image, int64_t row, int64_t column,
                                   int64_t begin, int64_t end, float* to) {
    const int64_t length = s.taps_w * s.channels;  // of one row of taps
    const bool contiguous = s.tap_w == 1 && s.pixel_stride == s.channels;
    const int64_t run = contiguous ? length : s.channels;
    int64_t t = begin / length, start = t * length;
    for (; start < end; ++t, start += length) {
        const int64_t h = row + t * s.tap_h;
        int64_t from = at_least(begin - start, 0), until = at_most(end - start, length);
        if (h < 0 || h >= s.height) {
            zero(to, until - from);
            to += until - from;
            continue;
        }
        const float* line = image + h * s.width * s.pixel_stride;
        if (contiguous) {
            // The part of the run that lies inside the image, in elements of the run.
            const int64_t first = column * s.channels;
            const int64_t inside = at_most(at_least(-first, from), until);
            const int64_t outside = at_least(at_most(s.width * s.channels - first, until), inside);
            zero(to, inside - from);
            copy(to + (inside - from), line + first + inside, outside - inside);
            zero(to + (outside - from), until - outside);
            to += until - from;
            continue;
        }
        int64_t u = from / run;
        while (from < until) {
            const int64_t channel = from - u * run, count = at_most(run - channel, until - from);
            const int64_t w = column + u * s.tap_w;
            if (w < 0 || w >= s.width)
                zero(to, count);
            else
                copy(to, line + w * s.pixel_stride + channel, count);
            to += count, from += count, ++u;
        }
    }
}

void gather(const Patches& s, const float* images, int64_t first, int64_t count, int64_t begin, int64_t end,
            float* rows, int64_t stride) {
    if (begin == end) return;  // patches without taps
    int64_t j = first % s.grid_w, i = first / s.grid_w % s.grid_h, n = first / s.grid_w / s.grid_h;
    for (int64_t r = 0; r < count; ++r, rows += stride) {
        gather_patch(s, images + n * s.height * s.width * s.pixel_stride, i * s.step_h + s.origin_h,
                     j * s.step_w + s.origin_w, begin, end, rows);
        if (++j < s.grid_w) continue;
        j = 0;
        if (++i < s.grid_h) continue;
        i = 0, ++n;
    }
}

void gather_strip(const Patches& s, const float* images, int64_t first, int64_t count, int64_t begin,
                  int64_t end, float* strip) {
    const int64_t width = strip_width(end - begin);
    zero(strip, count * width);
    gather(s, images, first, count, begin, end, strip, width);
}

void rows_to_panel(const float* a, int64_t stride, int64_t rows, int64_t k, float* panel) {
    for (int64_t r = 0; r < rows; ++r) copy(panel + r * kPanelStride, a + r * stride, k);
}

void columns_to_panel(const float* a, int64_t stride, int64_t rows, int64_t k, float* panel) {
    for (int64_t p = 0; p < k; ++p) copy(panel + p * kPanelRows, a + p * stride, rows);
}

void rows_to_strips(const float* b, int64_t stride, int64_t n, int64_t first, int64_t count, int64_t k,
                    float* strips) {
    constexpr int64_t chunk = 8;  // rows at a time: few enough for the TLB, enough to fill cache lines
    for (int64_t p = 0; p < count; p += chunk) {
        const int64_t until = at_most(p + chunk, count);
        int64_t j = 0;
        for (; j + kStripColumns <= n; j += kStripColumns)
            for (int64_t q = p; q < until; ++q) {
                float* to = strips + j * k + (first + q) * kStripColumns;
                const float* from = b + q * stride + j;
                store(to, load(from));
                store(to + kWidth, load(from + kWidth));
            }
        if (j == n) continue;
        const int64_t width = strip_width(n - j);
        for (int64_t q = p; q < until; ++q) {
            float* to = strips + j * k + (first + q) * width;
            copy(to, b + q * stride + j, n - j);
            zero(to + n - j, width - (n - j));
        }
    }
}

void columns_to_strips(const float* b, int64_t stride, int64_t n, int64_t k, float* strips) {
    constexpr int64_t chunk = 64;  // of each column: the part of the strip being written stays in cache
    for (int64_t j0 = 0; j0 < n; j0 += kStripColumns) {
        const int64_t columns = at_most(kStripColumns, n - j0), width = strip_width(columns);
        float* strip = strips + j0 * k;
        for (int64_t p0 = 0; p0 < k; p0 += chunk) {
            const int64_t until = at_most(p0 + chunk, k), whole = p0 + (until - p0) / 4 * 4;
            int64_t j = 0;
            for (; j + 4 <= columns; j += 4) {
                const float* from = b + (j0 + j) * stride;
                for (int64_t p = p0; p < whole; p += 4)
                    transpose_4x4(from + p, stride, strip + p * width + j, width);
                for (int64_t p = whole; p < until; ++p)
                    for (int64_t q = 0; q < 4; ++q) strip[p * width + j + q] = from[q * stride + p];
            }
            for (; j < columns; ++j)
                for (int64_t p = p0; p < until; ++p) strip[p * width + j] = b[(j0 + j) * stride + p];
            for (; j < width; ++j)
                for (int64_t p = p0; p < until; ++p) strip[p * width + j] = 0.0f;
        }
    }
}

}  // namespace

extern const PackTable pack_table = {gather,           gather_strip,   rows_to_panel,
                                     columns_to_panel, rows_to_strips, columns_to_strips};

}  // namespace microtome::cpu::MICROTOME_ISA_NAME
