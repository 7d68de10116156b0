#include "tensor/cpu/depthwise.hpp"

#include "tensor/cpu/conv_geometry.hpp"
#include "tensor/cpu/depthwise_table.hpp"
#include "tensor/cpu/gemm.hpp"
#include "tensor/cpu/isa.hpp"
#include "tensor/cpu/parallel.hpp"
#include "tensor/reference/ordered_sum.hpp"

#include <algorithm>

namespace microtome::cpu {
namespace {

constexpr int64_t kChannelsAtOnce = 64;  // of the weight gradient, by one task

const DepthwiseTable& kernels() {
#if defined(__x86_64__)
    return pick(reference::depthwise_table, avx2::depthwise_table, avx512::depthwise_table);
#else
    return reference::depthwise_table;
#endif
}

int64_t slices_of(const ConvShape& s) {
    return (s.n * s.oh * s.ow + kSumSlice - 1) / kSumSlice;
}

}  // namespace

bool is_depthwise(const ConvShape& s) {
    return s.groups == s.c && s.groups == s.o && s.kh * s.kw <= kSumBlock;
}

void depthwise(const ConvShape& s, const float* x, const float* w, float* y, const KernelContext& context,
               const Epilogue<float>& epilogue) {
    Patches patches = input_patches(s);
    patches.channels = s.c;
    float* filter = reinterpret_cast<float*>(context.workspace.data());  // (tap, channel)
    for (int64_t tap = 0; tap < s.kh * s.kw; ++tap)
        for (int64_t c = 0; c < s.c; ++c) filter[tap * s.c + c] = w[c * s.kh * s.kw + tap];
    const DepthwiseTable& table = kernels();
    parallel_tasks(s.n * s.oh, context.threads, [&](int64_t line, int) {
        float* to = y + line * s.ow * s.o;
        table.line(patches, x + line / s.oh * s.h * s.w * s.c, line % s.oh, filter, to, s.o,
                   epilogue.accumulate);
        if (epilogue.empty()) return;
        for (float* pixel = to; pixel < to + s.ow * s.o; pixel += s.o)
            gemm_kernels().finish(s.o, pixel, epilogue.bias,
                                  epilogue.residual == nullptr ? nullptr : epilogue.residual + (pixel - y),
                                  epilogue.relu);
    });
}

void depthwise_input_gradient(const ConvShape& s, const float* g, const float* w, float* dx,
                              const KernelContext& context) {
    float* filter = reinterpret_cast<float*>(context.workspace.data());
    const DepthwiseTable& table = kernels();
    for (int64_t row = 0; row < std::min(s.stride_h, s.h); ++row)
        for (int64_t column = 0; column < std::min(s.stride_w, s.w); ++column) {
            const Phase rows(row, s.h, s.kh, s.stride_h, s.dilation_h, s.pad_top);
            const Phase columns(column, s.w, s.kw, s.stride_w, s.dilation_w, s.pad_left);
            Patches patches = gradient_patches(s, rows, columns);
            patches.channels = s.c;
            float* to = filter;
            for (int64_t t = 0; t < rows.taps; ++t)
                for (int64_t u = 0; u < columns.taps; ++u)
                    for (int64_t c = 0; c < s.c; ++c)
                        *to++ = w[(c * s.kh + rows.tap(t)) * s.kw + columns.tap(u)];
            parallel_tasks(s.n * rows.rows, context.threads, [&](int64_t line, int) {
                const int64_t n = line / rows.rows, i = line % rows.rows;
                table.line(patches, g + n * s.oh * s.ow * s.o, i, filter,
                           dx + ((n * s.h + row + i * s.stride_h) * s.w + column) * s.c, s.stride_w * s.c,
                           false);
            });
        }
}

void depthwise_weight_gradient(const ConvShape& s, const float* x, const float* g, float* dw,
                               const KernelContext& context) {
    Patches patches = input_patches(s);
    patches.channels = s.c;
    const int64_t positions = s.n * s.oh * s.ow, taps = s.kh * s.kw, slices = slices_of(s);
    const int64_t chunks = (s.c + kChannelsAtOnce - 1) / kChannelsAtOnce;
    float* partial = reinterpret_cast<float*>(context.workspace.data());  // (slice, tap, channel)
    const DepthwiseTable& table = kernels();
    parallel_tasks(slices * chunks, context.threads, [&](int64_t task, int) {
        const int64_t slice = task / chunks, channel = task % chunks * kChannelsAtOnce;
        const int64_t channels = std::min(kChannelsAtOnce, s.c - channel);
        const int64_t begin = slice * kSumSlice, end = std::min(begin + kSumSlice, positions);
        for (int64_t p = begin; p < end; p += kSumBlock)
            for (int64_t tap = 0; tap < taps; ++tap) {
                float block[kChannelsAtOnce];
                table.weight_sums(patches, x, g, tap / s.kw, tap % s.kw, p, std::min(kSumBlock, end - p),
                                  channel, channels, block);
                float* sum = partial + (slice * taps + tap) * s.c + channel;
                for (int64_t c = 0; c < channels; ++c) sum[c] = p == begin ? block[c] : sum[c] + block[c];
            }
    });
    for (int64_t c = 0; c < s.c; ++c)
        for (int64_t tap = 0; tap < taps; ++tap) {
            float sum = slices > 0 ? partial[tap * s.c + c] : 0.0f;
            for (int64_t slice = 1; slice < slices; ++slice)
                sum = sum + partial[(slice * taps + tap) * s.c + c];
            dw[c * taps + tap] = sum;
        }
}

std::size_t depthwise_workspace(const ConvShape& s) {
    return static_cast<std::size_t>(s.filters().elements()) * sizeof(float);
}

std::size_t depthwise_weight_gradient_workspace(const ConvShape& s) {
    return static_cast<std::size_t>(slices_of(s) * s.filters().elements()) * sizeof(float);
}

}  // namespace microtome::cpu
