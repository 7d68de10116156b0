#include "tensor/cpu/direct.hpp"

#include "tensor/cpu/conv_steps.hpp"
#include "tensor/cpu/isa.hpp"
#include "tensor/cpu/parallel.hpp"
#include "tensor/reference/ordered_sum.hpp"

#include <algorithm>

namespace microtome::cpu {

const DirectTable& direct_kernels() {
#if defined(__x86_64__)
    return pick(reference::direct_table, avx2::direct_table, avx512::direct_table);
#else
    return reference::direct_table;
#endif
}

namespace {

constexpr int64_t kMaxRuns = 512, kMaxBlocks = 256;
constexpr int64_t kBandFloats = int64_t{1} << 15;  // that stay in the second-level cache beside the filters
constexpr int64_t kPiece = 48;  // positions, where lines do not matter: a multiple of 8 and 12

int64_t divide_up(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

// A row of taps is one run where its pixels are neighbours.
bool joined(const Patches& s) {
    return s.tap_w == 1;
}
int64_t products(const Patches& s) {
    return s.taps_h * s.taps_w * s.channels;
}

// One tap that meets every pixel once: all images are one long line.
bool is_one_line(const Patches& s) {
    return s.taps_h * s.taps_w == 1 && s.step_h == 1 && s.step_w == 1 && s.origin_h == 0 && s.origin_w == 0 &&
           s.grid_h == s.height && s.grid_w == s.width;
}

// Every patch lies wholly inside its image.
bool is_inside(const Patches& s) {
    return s.origin_h >= 0 && s.origin_w >= 0 &&
           s.origin_h + (s.grid_h - 1) * s.step_h + (s.taps_h - 1) * s.tap_h < s.height &&
           s.origin_w + (s.grid_w - 1) * s.step_w + (s.taps_w - 1) * s.tap_w < s.width;
}

// Pixels of a line, and lines, that `count` positions and their patches span.
int64_t span(int64_t count, int64_t step, int64_t taps, int64_t tap) {
    return (count - 1) * step + std::max<int64_t>(taps - 1, 0) * tap + 1;
}
int64_t band_columns(const Patches& s) {
    return span(s.grid_w, s.step_w, s.taps_w, s.tap_w);
}
int64_t band_lines(const Patches& s, int64_t positions) {
    return span(positions, s.step_h, s.taps_h, s.tap_h);
}

// Lines of positions in a band: as many as the cache holds, in pairs.
int64_t lines_of_band(const Patches& s) {
    const int64_t line = std::max<int64_t>(band_columns(s) * s.channels, 1);
    int64_t lines = 2;
    while (lines + 2 <= s.grid_h + 1 && band_lines(s, lines + 2) * line <= kBandFloats) lines += 2;
    return lines;
}

int64_t band_floats(const Patches& s) {
    const int64_t floats =
        std::max<int64_t>(band_lines(s, lines_of_band(s)) * band_columns(s) * s.channels, 0);
    return (std::max(floats, is_one_line(s) ? kPiece * s.channels : 0) + 15) / 16 * 16;
}

// The runs of a patch whose image has lines of `line` floats.
struct Runs {
    Run runs[kMaxRuns];
    int64_t block_ends[kMaxBlocks];
    int64_t blocks = 0;

    Runs(const Patches& s, int64_t line) {
        const int64_t length = joined(s) ? s.taps_w * s.channels : s.channels,
                      per_row = joined(s) ? 1 : s.taps_w;
        const int64_t k = products(s);
        int64_t count = 0;
        for (int64_t i = 0; i < k; ++count) {
            const int64_t run = i / length, within = i % length;
            const int64_t end = std::min({i + length - within, (i / kSumBlock + 1) * kSumBlock, k});
            runs[count] = {run / per_row * s.tap_h * line + run % per_row * s.tap_w * s.channels + within,
                           end - i};
            i = end;
            if (i % kSumBlock == 0 || i == k) block_ends[blocks++] = count + 1;
        }
    }
};

// All that does not change from one line to the next.
class Job {
  public:
    Job(const Direct& d, int64_t line) : d_(d), runs_(d.patches, line), k_(products(d.patches)) {}

    // Positions (n, i, j), `count` of a line, from the pixels at x0 and, for the line below, at x1.
    void lines(int64_t n, int64_t i, int64_t j, int64_t count, int64_t lines, const float* x0,
               const float* x1) const {
        const Patches& s = d_.patches;
        DirectLines a{};
        a.runs = runs_.runs, a.block_ends = runs_.block_ends, a.blocks = runs_.blocks;
        a.lines = lines, a.x[0] = x0, a.x[1] = x1, a.count = count, a.step = s.step_w * s.channels;
        a.relu = d_.relu, a.pool = d_.pool;
        a.y_step = d_.y.stride_w;
        const int64_t y_lines = d_.pool ? 1 : lines, i_y = d_.pool ? i / 2 : i;
        int64_t at[2];
        for (int64_t line = 0; line < y_lines; ++line)
            at[line] = n * d_.y.image_stride + (i_y + line) * d_.y.stride_h + j * d_.y.stride_w;
        a.strip_floats = k_ * kDirectStrip;
        for (int64_t column = 0; column < d_.columns; column += kDirectColumns) {
            a.strips = d_.strips + column * k_;
            a.columns = std::min(kDirectColumns, d_.columns - column);
            a.bias = d_.bias == nullptr ? nullptr : d_.bias + column;
            for (int64_t line = 0; line < y_lines; ++line) {
                const int64_t offset = at[line] + column;
                a.y[line] = d_.y.data + offset;
                a.residual[line] = d_.residual == nullptr ? nullptr : d_.residual + offset;
                a.gate[line] = d_.gate == nullptr ? nullptr : d_.gate + (d_.pool ? offset : offset / 8);
            }
            direct_kernels().lines(a);
        }
    }

  private:
    const Direct& d_;
    Runs runs_;
    int64_t k_;
};

// All positions in pieces of one line.
void one_line(const Direct& d, const KernelContext& context) {
    const Patches& s = d.patches;
    const int64_t positions = d.images * s.height * s.width;
    float* work = reinterpret_cast<float*>(context.workspace.data());
    const Job job(d, 0);
    parallel_tasks(divide_up(positions, kPiece), context.threads, [&](int64_t piece, int thread) {
        const int64_t first = piece * kPiece, count = std::min(kPiece, positions - first);
        const int64_t at = first * s.channels;
        const float* x = d.x.data + at;
        if (!d.x.plain()) {
            float* gated = d.gated != nullptr ? d.gated + at : work + thread * band_floats(s);
            gate_elements(x, d.x.gate, at, count * s.channels, gated);
            x = gated;
        }
        job.lines(0, 0, first, count, 1, x, nullptr);
    });
}

}  // namespace

bool is_direct(const Patches& s) {
    const int64_t k = products(s), rows = s.taps_h * (joined(s) ? 1 : s.taps_w);
    return s.pixel_stride == s.channels && rows + divide_up(k, kSumBlock) <= kMaxRuns &&
           divide_up(k, kSumBlock) <= kMaxBlocks && band_floats(s) <= 8 * kBandFloats;
}

void direct(const Direct& problem, const KernelContext& context) {
    Direct d = problem;
    const Patches& s = d.patches;
    if (d.columns == 0 || d.images * s.grid_h * s.grid_w == 0) return;
    if (is_one_line(s) && !d.pool && !d.x.pooled && d.y.stride_h == s.grid_w * d.y.stride_w &&
        d.y.image_stride == s.grid_h * d.y.stride_h)
        return one_line(d, context);

    const bool empty = products(s) == 0;  // then nothing is read
    const bool in_place = d.x.plain() && is_inside(s);
    const int64_t line = empty ? 0 : (in_place ? s.width : band_columns(s)) * s.channels;
    const int64_t grid_h = d.pool ? s.grid_h / 2 * 2 : s.grid_h,
                  grid_w = d.pool ? s.grid_w / 2 * 2 : s.grid_w;
    if (grid_h * grid_w == 0) return;
    // Bands are as high as the cache allows, or less high so that there is one for every thread.
    const int64_t wanted =
        std::max<int64_t>(divide_up(grid_h, divide_up(2 * context.threads, d.images) * 2), 1) * 2;
    const int64_t lines = context.threads > 1 ? std::min(lines_of_band(s), wanted) : lines_of_band(s);
    const int64_t bands = divide_up(grid_h, lines);
    float* work = reinterpret_cast<float*>(context.workspace.data());
    const Job job(d, line);
    parallel_tasks(d.images * bands, context.threads, [&](int64_t task, int thread) {
        const int64_t n = task / bands, first = task % bands * lines, end = std::min(first + lines, grid_h);
        const float* x = d.x.data;
        if (in_place && !empty)
            x += ((n * s.height + first * s.step_h + s.origin_h) * s.width + s.origin_w) * s.channels;
        if (!in_place && !empty) {
            float* band = work + thread * band_floats(s);
            load_band(d.x, s, n, first * s.step_h + s.origin_h, band_lines(s, end - first), s.origin_w,
                      band_columns(s), band);
            x = band;
        }
        for (int64_t i = first; i < end; i += 2, x += 2 * s.step_h * line)
            job.lines(n, i, 0, grid_w, std::min<int64_t>(end - i, 2), x, x + s.step_h * line);
    });
}

std::size_t direct_workspace(const Patches& patches, int threads) {
    return static_cast<std::size_t>(threads * band_floats(patches)) * sizeof(float);
}

int64_t strip_floats(int64_t k, int64_t columns) {
    const int64_t whole = columns / kDirectStrip, left = columns % kDirectStrip;
    return k * (whole * kDirectStrip + (left > 0 ? direct_strip_width(left) : 0));
}

}  // namespace microtome::cpu
