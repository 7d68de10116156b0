#include "tensor/cpu/sparse_stage.hpp"

#include "tensor/cpu/isa.hpp"
#include "tensor/cpu/parallel.hpp"
#include "tensor/cpu/sparse_table.hpp"

#include <algorithm>

namespace microtome::cpu {

using kernels::ConvStage;

namespace {

constexpr int64_t kMaxTaps = 15;  // of a filter's column

const SparseTable& table() {
#if defined(__x86_64__)
    return pick(reference::sparse_table, avx2::sparse_table, avx512::sparse_table);
#else
    return reference::sparse_table;
#endif
}

int64_t round_up(int64_t a, int64_t b) {
    return (a + b - 1) / b * b;
}

// A window and the taps around it meet kh + 1 by kw + 1 pixels of dx.
int64_t patch_floats(const ConvShape& s) {
    return (s.kh + 1) * (s.kw + 1) * s.c;
}
bool has_few_channels(const ConvShape& s) {
    return patch_floats(s) <= kSparsePatch;
}

// Sums of dx, in lines padded as the image is: line `row` is pixel row - pad_top. A line of windows meets kh
// + 1 of them; with the next line of windows the first two of these are complete.
struct Lines {
    int64_t count, columns, floats;  // floats of a line
    int64_t words;                   // of all masks of a line of windows

    explicit Lines(const ConvShape& s)
        : count(s.kh + 1),
          columns(std::max(s.w + s.pad_left, s.ow / 2 * 2 + s.kw - 1)),
          floats(round_up(columns * s.c, 16)),
          words(round_up(s.ow / 2 * ((s.o + 63) / 64) * 4, 8)) {}

    std::size_t bytes() const {
        return static_cast<std::size_t>(count * floats) * sizeof(float) +
               static_cast<std::size_t>(words) * sizeof(uint64_t);
    }
};

// One line of windows to the sums of the lines that it meets.
void add_windows(const ConvShape& s, const float* g, const uint8_t* gate, uint64_t* masks,
                 const float* packed, float* const* sums) {
    const int64_t windows = s.ow / 2;
    if (has_few_channels(s)) {
        table().patches({g, gate, windows, s.o, packed, s.kh + 1, (s.kw + 1) * s.c, 2 * s.c, sums});
        return;
    }
    table().masks(gate, windows, s.o, masks);
    for (int64_t c = 0; c < s.c; c += kSparseChunk) {
        const int64_t width = std::min(kSparseChunk, s.c - c);
        // The filter's row outermost: it stays in the first-level cache for both lines of pixels.
        for (int64_t p = 0; p < s.kh; ++p, packed += s.o * kSparseTaps * width)
            for (int64_t line = 0; line < 2; ++line)
                table().sweep({g, masks, windows, s.o, line, packed, width, sums[line + p] + c, s.c});
    }
}

}  // namespace

bool is_sparse_gradient(const ConvStage& stage) {
    const ConvShape& s = stage.conv;
    return stage.pool && !stage.exact && s.groups == 1 && s.stride_h * s.stride_w == 1 &&
           s.dilation_h * s.dilation_w == 1 && s.kh <= kMaxTaps && s.c > 0 && s.o > 0 &&
           (has_few_channels(s) || (s.kw == kSparseTaps && s.c % 16 == 0));
}

std::size_t sparse_gradient_filters(const ConvStage& stage) {
    const ConvShape& s = stage.conv;
    const int64_t floats =
        has_few_channels(s) ? s.o * 4 * round_up(patch_floats(s), 16) : s.filters().elements();
    return static_cast<std::size_t>(floats);
}

void pack_sparse_gradient_filters(const ConvStage& stage, const float* w, float* packed) {
    const ConvShape& s = stage.conv;
    const auto tap = [&](int64_t o, int64_t p, int64_t q) { return w + ((o * s.kh + p) * s.kw + q) * s.c; };
    if (has_few_channels(s)) {  // (o, winner, line, column, c): the filter where the pixel that won puts it
        const int64_t floats = round_up(patch_floats(s), 16);
        std::fill_n(packed, s.o * 4 * floats, 0.0f);
        for (int64_t o = 0; o < s.o; ++o)
            for (int64_t winner = 0; winner < 4; ++winner, packed += floats)
                for (int64_t p = 0; p < s.kh; ++p)
                    for (int64_t q = 0; q < s.kw; ++q)
                        std::copy_n(tap(o, p, q), s.c,
                                    packed + ((p + winner / 2) * (s.kw + 1) + q + winner % 2) * s.c);
        return;
    }
    for (int64_t c = 0; c < s.c; c += kSparseChunk)  // (chunk, p, o, q, c of the chunk)
        for (int64_t p = 0; p < s.kh; ++p)
            for (int64_t o = 0; o < s.o; ++o)
                for (int64_t q = 0; q < s.kw; ++q)
                    packed = std::copy_n(tap(o, p, q) + c, std::min(kSparseChunk, s.c - c), packed);
}

void sparse_gradient(const ConvStage& stage, const float* g, const uint8_t* gate, const float* packed,
                     float* dx, const KernelContext& context) {
    const ConvShape& s = stage.conv;
    const Lines lines(s);
    const int64_t window_lines = s.oh / 2, windows = s.ow / 2;
    const int64_t pairs =
        (s.h + s.pad_top + 1) / 2;  // of lines of dx: pair i is complete with line i of windows
    // With more threads than images an image is shared out; what two parts meet is calculated by both.
    const int64_t parts =
        std::clamp<int64_t>((context.threads + s.n - 1) / s.n, 1, std::max<int64_t>(pairs / 4, 1));
    parallel_tasks(s.n * parts, context.threads, [&](int64_t task, int thread) {
        std::byte* work = context.workspace.data() + static_cast<std::size_t>(thread) * lines.bytes();
        uint64_t* masks = reinterpret_cast<uint64_t*>(work);
        float* sums = reinterpret_cast<float*>(masks + lines.words);
        std::fill_n(sums, lines.count * lines.floats, 0.0f);
        const auto line = [&](int64_t row) { return sums + row % lines.count * lines.floats; };
        const int64_t n = task / parts, part = task % parts;
        const int64_t begin = part * pairs / parts, end = (part + 1) * pairs / parts;
        for (int64_t i = std::max<int64_t>(begin - s.kh / 2, 0); i < end; ++i) {
            if (i < window_lines && windows > 0) {
                const int64_t at = (n * window_lines + i) * windows * s.o;
                float* met[kMaxTaps + 1];
                for (int64_t t = 0; t <= s.kh; ++t) met[t] = line(2 * i + t);
                add_windows(s, g + at, gate + at, masks, packed, met);
            }
            for (int64_t row = 2 * i; row < 2 * i + 2; ++row) {
                const int64_t h = row - s.pad_top;
                if (i >= begin && h >= 0 && h < s.h)
                    std::copy_n(line(row) + s.pad_left * s.c, s.w * s.c, dx + (n * s.h + h) * s.w * s.c);
                std::fill_n(line(row), lines.floats, 0.0f);
            }
        }
    });
}

std::size_t sparse_gradient_workspace(const ConvStage& stage, int threads) {
    return static_cast<std::size_t>(threads) * Lines(stage.conv).bytes();
}

}  // namespace microtome::cpu
