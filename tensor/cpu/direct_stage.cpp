#include "tensor/cpu/direct_stage.hpp"

#include "tensor/cpu/conv_geometry.hpp"
#include "tensor/cpu/conv_steps.hpp"
#include "tensor/cpu/direct.hpp"
#include "tensor/cpu/planar.hpp"

#include <algorithm>

namespace microtome::cpu {

using kernels::ConvStage;

namespace {

int64_t aligned(int64_t floats) {
    return (floats + 15) / 16 * 16;
}

int64_t products(const ConvShape& s) {
    return s.kh * s.kw * s.c;
}

// body(row, column, rows, columns) for every phase of the input gradient.
template <class Body>
void for_phases(const ConvShape& s, Body body) {
    for (int64_t row = 0; row < std::min(s.stride_h, s.h); ++row)
        for (int64_t column = 0; column < std::min(s.stride_w, s.w); ++column)
            body(row, column, Phase(row, s.h, s.kh, s.stride_h, s.dilation_h, s.pad_top),
                 Phase(column, s.w, s.kw, s.stride_w, s.dilation_w, s.pad_left));
}

// Whether the direct kernel can pack the bits of a gate as it goes: a vector's bits are whole bytes.
bool packs_gate(const ConvStage& stage) {
    return direct_kernels().packs_gates && stage.conv.o % 8 == 0;
}

}  // namespace

bool is_direct_stage(const ConvStage& stage) {
    return stage.conv.groups == 1 && is_direct(input_patches(stage.conv));
}

std::size_t direct_stage_filters(const ConvStage& stage) {
    return static_cast<std::size_t>(strip_floats(products(stage.conv), stage.conv.o));
}

void pack_direct_stage_filters(const ConvStage& stage, const float* w, float* packed) {
    const int64_t k = products(stage.conv);
    pack_strips(
        k, stage.conv.o, [=](int64_t i, int64_t o) { return w[o * k + i]; }, packed);
}

void direct_stage(const ConvStage& stage, const float* x, const float* packed, const float* bias,
                  const float* residual, float* y, uint8_t* gate, const KernelContext& context) {
    const ConvShape& s = stage.conv;
    const Shape out = stage.output();
    const bool later = gate != nullptr && stage.relu && !stage.pool && !packs_gate(stage);
    Direct d;
    d.patches = input_patches(s);
    d.images = s.n, d.columns = s.o;
    d.x.data = x, d.strips = packed;
    d.y = {.data = y,
           .grid_h = out[1],
           .grid_w = out[2],
           .image_stride = out[1] * out[2] * s.o,
           .stride_h = out[2] * s.o,
           .stride_w = s.o};
    d.bias = bias, d.residual = residual, d.relu = stage.relu, d.pool = stage.pool;
    d.gate = later || !stage.relu ? nullptr : gate;
    direct(d, context);
    if (later) relu_in_place(y, out.elements(), gate, context.threads);
}

std::size_t direct_stage_workspace(const ConvStage& stage, int threads) {
    return direct_workspace(input_patches(stage.conv), threads);
}

bool is_direct_gradient(const ConvStage& stage) {
    const ConvShape& s = stage.conv;
    bool all = s.groups == 1 && !is_planar(s);
    if (all)
        for_phases(s, [&](int64_t, int64_t, const Phase& rows, const Phase& columns) {
            all = all && is_direct(gradient_patches(s, rows, columns));
        });
    return all;
}

std::size_t direct_gradient_filters(const ConvStage& stage) {
    const ConvShape& s = stage.conv;
    int64_t floats = 0;
    for_phases(s, [&](int64_t, int64_t, const Phase& rows, const Phase& columns) {
        floats += aligned(strip_floats(rows.taps * columns.taps * s.o, s.c));
    });
    return static_cast<std::size_t>(floats);
}

void pack_direct_gradient_filters(const ConvStage& stage, const float* w, float* packed) {
    const ConvShape& s = stage.conv;
    for_phases(s, [&](int64_t, int64_t, const Phase& rows, const Phase& columns) {
        const int64_t k = rows.taps * columns.taps * s.o;
        const auto at = [&](int64_t i, int64_t c) {
            const int64_t o = i % s.o, u = i / s.o % columns.taps, t = i / s.o / columns.taps;
            return w[((o * s.kh + rows.tap(t)) * s.kw + columns.tap(u)) * s.c + c];
        };
        pack_strips(k, s.c, at, packed);
        packed += aligned(strip_floats(k, s.c));
    });
}

void direct_gradient(const ConvStage& stage, const float* g, const uint8_t* gate, const float* packed,
                     float* dx, float* gated, const KernelContext& context) {
    const ConvShape& s = stage.conv;
    const int64_t elements = s.n * s.oh * s.ow * s.o;
    Source source{g, stage.relu ? gate : nullptr, stage.pool};
    const bool one_pixel =
        s.kh * s.kw * s.stride_h * s.stride_w == 1 && s.oh == s.h && s.ow == s.w && s.c > 0;
    if (gated != nullptr && !(one_pixel && stage.relu)) {
        if (stage.relu)
            apply_gate(g, gate, elements, gated, context.threads);
        else
            std::copy_n(g, elements, gated);
        source = {gated};
        gated = nullptr;
    }
    for_phases(s, [&](int64_t row, int64_t column, const Phase& rows, const Phase& columns) {
        Direct d;
        d.patches = gradient_patches(s, rows, columns);
        d.images = s.n, d.columns = s.c;
        d.x = source, d.strips = packed, d.gated = gated;
        d.y = {.data = dx + (row * s.w + column) * s.c,
               .grid_h = rows.rows,
               .grid_w = columns.rows,
               .image_stride = s.h * s.w * s.c,
               .stride_h = s.stride_h * s.w * s.c,
               .stride_w = s.stride_w * s.c};
        direct(d, context);
        packed += aligned(strip_floats(rows.taps * columns.taps * s.o, s.c));
    });
}

std::size_t direct_gradient_workspace(const ConvStage& stage, int threads) {
    const ConvShape& s = stage.conv;
    std::size_t bytes = 0;
    for_phases(s, [&](int64_t, int64_t, const Phase& rows, const Phase& columns) {
        bytes = std::max(bytes, direct_workspace(gradient_patches(s, rows, columns), threads));
    });
    return bytes;
}

}  // namespace microtome::cpu
