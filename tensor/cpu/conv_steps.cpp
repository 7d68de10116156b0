#include "tensor/cpu/conv_steps.hpp"

#include "tensor/cpu/conv2d.hpp"
#include "tensor/cpu/isa.hpp"
#include "tensor/cpu/parallel.hpp"

#include <algorithm>
#include <limits>

namespace microtome::cpu {

using kernels::ConvStage;

const PoolTable& pool_kernels() {
#if defined(__x86_64__)
    return pick(reference::pool_table, avx2::pool_table, avx512::pool_table);
#else
    return reference::pool_table;
#endif
}

namespace {

const ElementwiseTable<float>& elementwise() {
#if defined(__x86_64__)
    return pick(reference::elementwise_table, avx2::elementwise_table, avx512::elementwise_table);
#else
    return reference::elementwise_table;
#endif
}

// body(begin, count) for blocks of whole bytes of a gate.
template <class Body>
void for_blocks(int64_t elements, int threads, Body body) {
    constexpr int64_t size = int64_t{1} << 14;
    parallel_tasks((elements + size - 1) / size, threads,
                   [&](int64_t i, int) { body(i * size, std::min(size, elements - i * size)); });
}

// A stage that pools writes the convolution of one image at a time to its workspace.
ConvShape one_image(const ConvStage& stage) {
    ConvShape s = stage.conv;
    s.n = std::min<int64_t>(s.n, 1);
    return s;
}

std::size_t image_bytes(const ConvStage& stage) {  // rounded up to keep what follows aligned
    const ConvShape& s = stage.conv;
    return (static_cast<std::size_t>(s.oh * s.ow * s.o) * sizeof(float) + 63) / 64 * 64;
}

}  // namespace

void relu_in_place(float* y, int64_t elements, uint8_t* gate, int threads) {
    for_blocks(elements, threads, [&](int64_t begin, int64_t count) {
        if (gate != nullptr)
            elementwise().range_gate(y + begin, 0.0f, std::numeric_limits<float>::infinity(), y + begin,
                                     gate + begin / 8, count);
        else
            elementwise().unary(kernels::Unary::relu, y + begin, y + begin, count);
    });
}

void gate_elements(const float* g, const uint8_t* gate, int64_t first, int64_t count, float* to) {
    int64_t e = 0;
    for (; e < count && (first + e) % 8 != 0; ++e)
        to[e] = (gate[(first + e) / 8] >> ((first + e) % 8) & 1) != 0 ? g[e] : 0.0f;
    if (e < count) elementwise().apply_gate(g + e, gate + (first + e) / 8, to + e, count - e);
}

void apply_gate(const float* g, const uint8_t* gate, int64_t elements, float* gated, int threads) {
    for_blocks(elements, threads, [&](int64_t begin, int64_t count) {
        gate_elements(g + begin, gate, begin, count, gated + begin);
    });
}

void conv_steps(const ConvStage& stage, const float* x, const float* w, const float* bias,
                const float* residual, float* y, uint8_t* gate, const KernelContext& context) {
    const ConvShape& s = stage.conv;
    const Epilogue<float> epilogue{.bias = bias, .residual = residual};
    if (!stage.pool) {
        conv2d(s, x, w, y, context, epilogue);
        if (stage.relu) relu_in_place(y, s.n * s.oh * s.ow * s.o, gate, context.threads);
        return;
    }
    float* whole = reinterpret_cast<float*>(context.workspace.data());
    const KernelContext inner{context.threads, context.workspace.subspan(image_bytes(stage))};
    const ConvShape image = one_image(stage);
    const int64_t lines = s.oh / 2, windows = s.ow / 2;
    for (int64_t n = 0; n < s.n; ++n) {
        conv2d(image, x + n * s.h * s.w * s.c, w, whole, inner, epilogue);
        parallel_tasks(lines, context.threads, [&](int64_t i, int) {
            const float* top = whole + 2 * i * s.ow * s.o;
            const int64_t at = (n * lines + i) * windows * s.o;
            pool_kernels().relu_pool(top, top + s.ow * s.o, windows, s.o, y + at,
                                     gate == nullptr ? nullptr : gate + at);
        });
    }
}

void conv_steps_gradient(const ConvStage& stage, const float* g, const uint8_t* gate, const float* w,
                         float* dx, float* gated, const KernelContext& context) {
    const ConvShape& s = stage.conv;
    if (!stage.relu) {
        if (gated != nullptr) std::copy_n(g, s.n * s.oh * s.ow * s.o, gated);
        return conv2d_input_gradient(s, g, w, dx, context);
    }
    float* whole = reinterpret_cast<float*>(context.workspace.data());
    const KernelContext inner{context.threads, context.workspace.subspan(image_bytes(stage))};
    const ConvShape image = one_image(stage);
    if (!stage.pool && gated != nullptr) {
        apply_gate(g, gate, s.n * s.oh * s.ow * s.o, gated, context.threads);
        return conv2d_input_gradient(s, gated, w, dx, inner);
    }
    const int64_t lines = s.oh / 2, windows = s.ow / 2, line = s.ow * s.o, size = s.oh * line;
    if (stage.pool) std::fill_n(whole, size, 0.0f);  // where sizes are odd, no window looks
    for (int64_t n = 0; n < s.n; ++n) {
        if (stage.pool)
            parallel_tasks(lines, context.threads, [&](int64_t i, int) {
                const int64_t at = (n * lines + i) * windows * s.o;
                for (int row : {0, 1})
                    pool_kernels().unpool(g + at, gate + at, windows, s.o, row, whole + (2 * i + row) * line);
            });
        else  // an image's first bit need not be the first of a byte
            gate_elements(g + n * size, gate, n * size, size, whole);
        conv2d_input_gradient(image, whole, w, dx + n * s.h * s.w * s.c, inner);
    }
}

std::size_t conv_steps_workspace(const ConvStage& stage, int threads) {
    if (!stage.pool) return conv2d_workspace(stage.conv, threads);
    return image_bytes(stage) + conv2d_workspace(one_image(stage), threads);
}

std::size_t conv_steps_gradient_workspace(const ConvStage& stage, int threads) {
    return (stage.relu ? image_bytes(stage) : 0) + conv2d_input_gradient_workspace(stage.conv, threads);
}

}  // namespace microtome::cpu
