#include "tensor/cpu/sparse_weights.hpp"

#include "tensor/cpu/isa.hpp"
#include "tensor/cpu/parallel.hpp"
#include "tensor/cpu/sparse_weights_table.hpp"

#include <algorithm>
#include <cstring>

namespace microtome::cpu {
namespace {

constexpr int64_t kMaxParts = 16;                       // of the batch, each with sums of its own
constexpr int64_t kMaxSums = int64_t{1} << 18;          // floats
constexpr int64_t kTileWindows = 8;                     // in a line of a tile
constexpr int64_t kPatch = 32, kTaps = 3, kChunk = 32;  // floats of a patch; columns; channels at a time

const SparseWeightsTable& table() {
#if defined(__x86_64__)
    return pick(reference::sparse_weights_table, avx2::sparse_weights_table, avx512::sparse_weights_table);
#else
    return reference::sparse_weights_table;
#endif
}

int64_t divide_up(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}
int64_t round_up(int64_t a, int64_t b) {
    return divide_up(a, b) * b;
}

// How a geometry is taken apart.
struct Layout {
    const ConvShape& s;
    int64_t lines, windows;  // of windows, of an image
    bool patches;            // few channels: a tile has the whole patch of each pixel, side by side
    int64_t columns, rows;   // of a tile of windows, at most
    int64_t sums;            // floats of one filter's
    int64_t parts;

    explicit Layout(const ConvShape& shape)
        : s(shape),
          lines(s.oh / 2),
          windows(s.ow / 2),
          patches(s.kh * s.kw * s.c <= kPatch),
          columns(divide_up(windows, std::max<int64_t>(divide_up(windows, kTileWindows), 1))),
          rows(std::clamp<int64_t>(kSparseWindows / std::max<int64_t>(columns, 1), 1,
                                   std::max<int64_t>(lines, 1))),
          sums(patches ? kPatch : s.kh * s.kw * s.c),
          parts(std::min(s.n, kMaxParts)) {}

    // Floats of a tile from one pixel to the next, and from one line to the next.
    int64_t pixel(int64_t channels) const { return patches ? kPatch : channels; }
    int64_t line(int64_t channels) const {
        return (2 * columns + (patches ? 0 : s.kw - 1)) * pixel(channels);
    }
    int64_t tile_floats() const { return (2 * rows + (patches ? 0 : s.kh - 1)) * line(kChunk); }
    int64_t part_floats() const { return s.o * sums + round_up(s.o, 16); }
    int64_t thread_floats() const {  // a tile, entries and one more, counts
        return tile_floats() + 2 * (s.o * kSparseWindows + 8) + round_up(s.o, 16);
    }
};

// So many floats, the usual numbers of them without a call.
void copy(const float* from, int64_t floats, float* to) {
    switch (floats) {
        case 9: std::memcpy(to, from, 9 * sizeof(float)); break;  // a row of 3 taps of colours
        case 16: std::memcpy(to, from, 16 * sizeof(float)); break;
        case 32: std::memcpy(to, from, 32 * sizeof(float)); break;
        default: std::copy_n(from, floats, to);
    }
}

// Columns [begin, begin + count) of line h of an image, `width` channels from c on; 0 where there is no
// image.
void copy_pixels(const ConvShape& s, const float* image, int64_t h, int64_t begin, int64_t count, int64_t c,
                 int64_t width, float* to) {
    for (int64_t w = begin; w < begin + count; ++w, to += width) {
        if (h < 0 || h >= s.h || w < 0 || w >= s.w)
            std::fill_n(to, width, 0.0f);
        else
            copy(image + (h * s.w + w) * s.c + c, width, to);
    }
}

void add(int64_t count, const float* from, float* to) {
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) to[i] += from[i];
}

// All that one part of the images adds to its sums.
class Part {
  public:
    Part(const Layout& layout, float* work, float* sums) : l_(layout), s_(layout.s), sums_(sums) {
        tile_ = work;
        entries_ = reinterpret_cast<SparseEntry*>(tile_ + l_.tile_floats());
        counts_ = reinterpret_cast<int32_t*>(entries_ + s_.o * kSparseWindows + 8);
    }

    void add_image(const float* x, const float* g, const uint8_t* gate) const {
        for (int64_t i = 0; i < l_.lines; i += l_.rows)
            for (int64_t j = 0; j < l_.windows; j += l_.columns)
                add_tile(x, g, gate, i, std::min(l_.rows, l_.lines - i), j,
                         std::min(l_.columns, l_.windows - j));
    }

  private:
    void add_tile(const float* x, const float* g, const uint8_t* gate, int64_t i, int64_t rows, int64_t j,
                  int64_t columns) const {
        const int64_t at = (i * l_.windows + j) * s_.o;
        float* bias = sums_ + s_.o * l_.sums;
        float* sums = sums_;
        for (int64_t c = 0; c < s_.c; c += kChunk) {
            const int64_t width = std::min(kChunk, s_.c - c), line = l_.line(width), pixel = l_.pixel(width);
            if (c == 0 || width != kChunk)  // places in a tile depend on its channels
                table().lists({g + at, gate + at, rows, columns, l_.windows * s_.o, s_.o, line, pixel,
                               entries_, counts_});
            if (l_.patches)
                load_patches(x, 2 * i - s_.pad_top, 2 * rows, 2 * j - s_.pad_left, 2 * columns);
            else
                for (int64_t p = 0; p < 2 * rows + s_.kh - 1; ++p)
                    copy_pixels(s_, x, 2 * i + p - s_.pad_top, 2 * j - s_.pad_left, 2 * columns + s_.kw - 1,
                                c, width, tile_ + p * line);
            const int64_t tap_rows = l_.patches ? 1 : s_.kh, run = l_.patches ? kPatch : kTaps * width;
            table().rows({entries_, counts_, s_.o, tile_, tap_rows, line, run, sums, tap_rows * run,
                          c == 0 ? bias : nullptr});
            sums += s_.o * tap_rows * run;
            if (l_.patches) return;
        }
    }

    void load_patches(const float* x, int64_t top, int64_t lines, int64_t left, int64_t pixels) const {
        for (int64_t i = 0; i < lines; ++i)
            for (int64_t j = 0; j < pixels; ++j) {
                float* to = tile_ + i * l_.line(kChunk) + j * kPatch;
                const int64_t w = left + j, row = s_.kw * s_.c;
                const bool inside = w >= 0 && w + s_.kw <= s_.w;
                for (int64_t p = 0; p < s_.kh; ++p, to += row) {
                    const int64_t h = top + i + p;
                    if (inside && h >= 0 && h < s_.h)
                        copy(x + (h * s_.w + w) * s_.c, row, to);
                    else
                        copy_pixels(s_, x, h, w, s_.kw, 0, s_.c, to);
                }
                std::fill_n(to, kPatch - s_.kh * row, 0.0f);
            }
    }

    const Layout& l_;
    const ConvShape& s_;
    float* tile_;
    SparseEntry* entries_;
    int32_t* counts_;
    float* sums_;  // (chunk, o, p, q, c of the chunk), or (o, patch); then the biases'
};

}  // namespace

bool is_sparse_weight_gradient(const ConvShape& s) {
    const bool serves = (s.kw == kTaps && s.c % 16 == 0) || s.kh * s.kw * s.c <= kPatch;
    return s.groups == 1 && s.stride_h * s.stride_w == 1 && s.dilation_h * s.dilation_w == 1 && s.c > 0 &&
           serves && s.o * Layout(s).sums <= kMaxSums;
}

void sparse_weight_gradient(const ConvShape& shape, const float* x, const float* g, const uint8_t* gate,
                            float* dw, float* dbias, const KernelContext& context) {
    const Layout l(shape);
    const ConvShape& s = shape;
    float* parts = reinterpret_cast<float*>(context.workspace.data());
    float* work = parts + l.parts * l.part_floats();
    parallel_tasks(l.parts, context.threads, [&](int64_t part, int thread) {
        float* sums = parts + part * l.part_floats();
        std::fill_n(sums, l.part_floats(), 0.0f);
        const Part images(l, work + thread * l.thread_floats(), sums);
        const int64_t pooled = l.lines * l.windows * s.o;
        for (int64_t n = part * s.n / l.parts; n < (part + 1) * s.n / l.parts; ++n)
            images.add_image(x + n * s.h * s.w * s.c, g + n * pooled, gate + n * pooled);
    });
    parallel_tasks(s.o, context.threads, [&](int64_t o, int) {
        const int64_t taps = s.kh * s.kw, step = l.patches ? s.c : kChunk;
        float* to = dw + o * taps * s.c;
        std::fill_n(to, taps * s.c, 0.0f);
        dbias[o] = 0;
        for (int64_t part = 0; part < l.parts; ++part) {
            const float* sums = parts + part * l.part_floats();
            dbias[o] += sums[s.o * l.sums + o];
            for (int64_t c = 0; c < s.c; c += step) {
                const int64_t width = std::min(step, s.c - c), floats = l.patches ? kPatch : taps * width;
                for (int64_t tap = 0; tap < taps; ++tap)
                    add(width, sums + o * floats + tap * width, to + tap * s.c + c);
                sums += s.o * floats;
            }
        }
    });
}

std::size_t sparse_weight_gradient_workspace(const ConvShape& shape, int threads) {
    const Layout l(shape);
    return static_cast<std::size_t>(l.parts * l.part_floats() + threads * l.thread_floats()) * sizeof(float);
}

}  // namespace microtome::cpu
