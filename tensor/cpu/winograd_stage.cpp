#include "tensor/cpu/winograd_stage.hpp"

#include "tensor/cpu/conv_geometry.hpp"
#include "tensor/cpu/conv_steps.hpp"
#include "tensor/cpu/direct.hpp"
#include "tensor/cpu/isa.hpp"
#include "tensor/cpu/parallel.hpp"
#include "tensor/cpu/winograd_table.hpp"
#include "tensor/reference/ordered_sum.hpp"

#include <algorithm>

namespace microtome::cpu {

using kernels::ConvStage;

namespace {

constexpr int64_t kTile = kWinogradTile, kPatch = kWinogradPatch, kPoints = kWinogradPoints;
constexpr int64_t kBlockFloats = int64_t{1} << 17;  // of transforms and sums: half of the second-level cache
constexpr int64_t kResults = 2 * kDirectColumns;    // at a time
constexpr int64_t kMaxProducts = int64_t{1}
                                 << 16;  // C * O: more filters than that are dearer to read than to use
constexpr int64_t kMaxChannels = kSumSlice;

const WinogradTable& table() {
#if defined(__x86_64__)
    return pick(reference::winograd_table, avx2::winograd_table, avx512::winograd_table);
#else
    return reference::winograd_table;
#endif
}

int64_t divide_up(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

// A convolution of 3x3 taps as this file sees it, forward or back.
struct Winograd {
    Patches patches;
    int64_t images = 0, columns = 0;
    Source x;
    const float* filters = nullptr;  // (point, strips)
    float* y = nullptr;
    const float* bias = nullptr;
    const float* residual = nullptr;
    bool relu = false, pool = false;
    uint8_t* gate = nullptr;
};

// The tiles of an image, row by row, some at a time.
struct Tiles {
    int64_t across, count;  // in a row, in all
    int64_t blocks, size;   // how many at a time, and of how many
    int64_t channels, results;
    int64_t point_x, point_y;  // floats from one point to the next; not a multiple of 4096 bytes

    Tiles(const Patches& s, int64_t columns) : channels(s.channels), results(std::min(columns, kResults)) {
        across = divide_up(s.grid_w, kTile);
        count = across * divide_up(s.grid_h, kTile);
        const int64_t room = kBlockFloats / (kPoints * (channels + results));
        blocks = std::max<int64_t>(divide_up(count, std::clamp<int64_t>(room / 12 * 12, 12, 48)), 1);
        size = divide_up(count, blocks);
        point_x = size * channels + 16;
        point_y = size * results + 16;
    }
    int64_t patch_floats() const { return kPoints * channels; }
    int64_t floats() const { return patch_floats() + kPoints * (point_x + point_y); }
};

// The pixels of tiles [first, end) of image n, transformed.
void transform_input(const Winograd& d, const Tiles& tiles, int64_t n, int64_t first, int64_t end,
                     float* patch, float* v) {
    const Patches& s = d.patches;
    for (int64_t t = first; t < end; ++t, v += s.channels) {
        const int64_t h = t / tiles.across * kTile + s.origin_h, w = t % tiles.across * kTile + s.origin_w;
        const bool inside = h >= 0 && w >= 0 && h + kPatch <= s.height && w + kPatch <= s.width;
        if (inside && d.x.plain()) {
            table().input(d.x.data + ((n * s.height + h) * s.width + w) * s.channels, s.width * s.channels,
                          s.channels, v, tiles.point_x);
            continue;
        }
        load_band(d.x, s, n, h, kPatch, w, kPatch, patch);
        table().input(patch, kPatch * s.channels, s.channels, v, tiles.point_x);
    }
}

// Results [column, column + count) of these tiles from their transforms.
void multiply(const Winograd& d, const Tiles& tiles, int64_t positions, int64_t column, int64_t count,
              const float* v, float* sums) {
    const int64_t k = d.patches.channels;
    Run runs[kMaxChannels / kSumBlock];
    int64_t block_ends[kMaxChannels / kSumBlock];
    DirectLines a{};
    a.runs = runs, a.block_ends = block_ends;
    for (int64_t i = 0; i < k; i += kSumBlock) {
        runs[a.blocks] = {i, std::min(kSumBlock, k - i)};
        block_ends[a.blocks] = a.blocks + 1;
        ++a.blocks;
    }
    a.lines = 1, a.count = positions, a.step = k, a.y_step = tiles.results;
    a.strip_floats = k * kDirectStrip;
    for (int64_t point = 0; point < kPoints; ++point, v += tiles.point_x, sums += tiles.point_y)
        for (int64_t j = column; j < column + count; j += kDirectColumns) {
            a.strips = d.filters + (point * d.columns + j) * k;
            a.columns = std::min(kDirectColumns, d.columns - j);
            a.x[0] = v;
            a.y[0] = sums + (j - column);
            direct_kernels().lines(a);
        }
}

void transform_output(const Winograd& d, const Tiles& tiles, int64_t n, int64_t first, int64_t end,
                      int64_t column, int64_t count, const float* sums) {
    const Patches& s = d.patches;
    const int64_t step = d.pool ? 2 : 1;  // positions to one of y, on a side
    const int64_t height = s.grid_h / step, width = s.grid_w / step;
    for (int64_t t = first; t < end; ++t, sums += tiles.results) {
        const int64_t i = t / tiles.across * kTile, j = t % tiles.across * kTile;
        WinogradOutput o{};
        o.sums = sums, o.stride = tiles.point_y, o.columns = count;
        o.lines = std::min(kTile, height * step - i), o.count = std::min(kTile, width * step - j);
        if (o.lines <= 0 || o.count <= 0) continue;  // a pooling looks at no odd line
        const int64_t at = ((n * height + i / step) * width + j / step) * d.columns + column;
        o.bias = d.bias == nullptr ? nullptr : d.bias + column;
        o.residual = d.residual == nullptr ? nullptr : d.residual + at;
        o.relu = d.relu, o.pool = d.pool;
        o.y = d.y + at, o.y_line = width * d.columns, o.y_step = d.columns;
        o.gate = d.gate == nullptr ? nullptr : d.gate + (d.pool ? at : at / 8);
        table().output(o);
    }
}

void winograd(const Winograd& d, const KernelContext& context) {
    const Tiles tiles(d.patches, d.columns);
    parallel_tasks(d.images * tiles.blocks, context.threads, [&](int64_t task, int thread) {
        float* patch = reinterpret_cast<float*>(context.workspace.data()) + thread * tiles.floats();
        float* v = patch + tiles.patch_floats();
        float* sums = v + kPoints * tiles.point_x;
        const int64_t n = task / tiles.blocks, block = task % tiles.blocks;
        const int64_t first = block * tiles.count / tiles.blocks,
                      end = (block + 1) * tiles.count / tiles.blocks;
        transform_input(d, tiles, n, first, end, patch, v);
        for (int64_t column = 0; column < d.columns; column += kResults) {
            const int64_t count = std::min(kResults, d.columns - column);
            multiply(d, tiles, end - first, column, count, v, sums);
            transform_output(d, tiles, n, first, end, column, count, sums);
        }
    });
}

std::size_t workspace(const Patches& patches, int64_t columns, int threads) {
    return static_cast<std::size_t>(threads * Tiles(patches, columns).floats()) * sizeof(float);
}

// U = G w G^T for filters tap(column, p, q, k), in double: (point, strips).
template <class Tap>
void pack(int64_t k, int64_t columns, const Tap& tap, float* packed) {
    static constexpr double g[kPatch][3] = {{1.0 / 4, 0, 0},
                                            {-1.0 / 6, -1.0 / 6, -1.0 / 6},
                                            {-1.0 / 6, 1.0 / 6, -1.0 / 6},
                                            {1.0 / 24, 1.0 / 12, 1.0 / 6},
                                            {1.0 / 24, -1.0 / 12, 1.0 / 6},
                                            {0, 0, 1}};
    for (int64_t i = 0; i < kPatch; ++i)
        for (int64_t j = 0; j < kPatch; ++j, packed += k * columns)
            pack_strips(
                k, columns,
                [&](int64_t c, int64_t o) {
                    double sum = 0;
                    for (int64_t p = 0; p < 3; ++p)
                        for (int64_t q = 0; q < 3; ++q)
                            sum += g[i][p] * static_cast<double>(tap(o, p, q, c)) * g[j][q];
                    return static_cast<float>(sum);
                },
                packed);
}

bool serves(const ConvStage& stage, int64_t positions) {
    const ConvShape& s = stage.conv;
    return !stage.exact && s.groups == 1 && s.kh == 3 && s.kw == 3 && s.stride_h * s.stride_w == 1 &&
           s.dilation_h * s.dilation_w == 1 && s.c % 16 == 0 && s.o % 16 == 0 && s.c >= 16 && s.o >= 16 &&
           s.c <= kMaxChannels && s.o <= kMaxChannels && s.c * s.o <= kMaxProducts &&
           positions >= kTile * kTile;
}

// The gradient as a convolution of g.
Patches gradient_of(const ConvShape& s) {
    return gradient_patches(s, {0, s.h, s.kh, 1, 1, s.pad_top}, {0, s.w, s.kw, 1, 1, s.pad_left});
}

}  // namespace

bool is_winograd_stage(const ConvStage& stage) {
    return serves(stage, stage.conv.oh * stage.conv.ow);
}

std::size_t winograd_filters(const ConvStage& stage) {
    return static_cast<std::size_t>(kPoints * stage.conv.c * stage.conv.o);
}

void pack_winograd_filters(const ConvStage& stage, const float* w, float* packed) {
    const ConvShape& s = stage.conv;
    pack(
        s.c, s.o,
        [=](int64_t o, int64_t p, int64_t q, int64_t c) { return w[((o * 3 + p) * 3 + q) * s.c + c]; },
        packed);
}

void winograd_stage(const ConvStage& stage, const float* x, const float* packed, const float* bias,
                    const float* residual, float* y, uint8_t* gate, const KernelContext& context) {
    const ConvShape& s = stage.conv;
    const bool later = gate != nullptr && stage.relu && !stage.pool && !direct_kernels().packs_gates;
    Winograd d{
        .patches = input_patches(s), .images = s.n, .columns = s.o, .x = {x}, .filters = packed, .y = y};
    d.bias = bias, d.residual = residual, d.relu = stage.relu, d.pool = stage.pool;
    d.gate = later || !stage.relu ? nullptr : gate;
    winograd(d, context);
    if (later) relu_in_place(y, stage.output().elements(), gate, context.threads);
}

std::size_t winograd_stage_workspace(const ConvStage& stage, int threads) {
    return workspace(input_patches(stage.conv), stage.conv.o, threads);
}

bool is_winograd_gradient(const ConvStage& stage) {
    return serves(stage, stage.conv.h * stage.conv.w);
}

void pack_winograd_gradient_filters(const ConvStage& stage, const float* w, float* packed) {
    const ConvShape& s = stage.conv;
    pack(
        s.o, s.c,
        [=](int64_t c, int64_t p, int64_t q, int64_t o) {
            return w[((o * 3 + 2 - p) * 3 + 2 - q) * s.c + c];
        },
        packed);
}

void winograd_gradient(const ConvStage& stage, const float* g, const uint8_t* gate, const float* packed,
                       float* dx, float* gated, const KernelContext& context) {
    const ConvShape& s = stage.conv;
    Source source{g, stage.relu ? gate : nullptr, stage.pool};
    if (gated != nullptr) {
        if (stage.relu)
            apply_gate(g, gate, s.output().elements(), gated, context.threads);
        else
            std::copy_n(g, s.output().elements(), gated);
        source = {gated};
    }
    winograd(
        {.patches = gradient_of(s), .images = s.n, .columns = s.c, .x = source, .filters = packed, .y = dx},
        context);
}

std::size_t winograd_gradient_workspace(const ConvStage& stage, int threads) {
    return workspace(gradient_of(stage.conv), stage.conv.c, threads);
}

}  // namespace microtome::cpu
