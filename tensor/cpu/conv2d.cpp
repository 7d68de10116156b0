#include "tensor/cpu/conv2d.hpp"

#include "tensor/cpu/conv_geometry.hpp"
#include "tensor/cpu/depthwise.hpp"
#include "tensor/cpu/gemm.hpp"
#include "tensor/cpu/planar.hpp"

#include <algorithm>

namespace microtome::cpu {
namespace {

// A filter of one tap that meets every pixel once knows no edges: all images are one long line.
ConvShape without_edges(const ConvShape& shape) {
    ConvShape s = shape;
    if (s.kh * s.kw * s.stride_h * s.stride_w != 1 || s.oh != s.h || s.ow != s.w) return s;
    s.w = s.ow = s.n * s.h * s.w;
    s.n = s.h = s.oh = 1;
    return s;
}

// The filters of one phase as a matrix for each group: row (p, q, o) in the order above, column c.
void phase_filters(const ConvShape& s, const Phase& rows, const Phase& columns, const float* w,
                   float* matrix) {
    for (int64_t group = 0; group < s.groups; ++group)
        for (int64_t t = 0; t < rows.taps; ++t)
            for (int64_t u = 0; u < columns.taps; ++u)
                for (int64_t o = group * s.group_o(); o < (group + 1) * s.group_o(); ++o) {
                    const float* tap = w + ((o * s.kh + rows.tap(t)) * s.kw + columns.tap(u)) * s.group_c();
                    matrix = std::copy_n(tap, s.group_c(), matrix);
                }
}

std::size_t filter_bytes(const ConvShape& s) {  // rounded up to keep what follows aligned
    return (static_cast<std::size_t>(s.filters().elements()) * sizeof(float) + 63) / 64 * 64;
}

}  // namespace

void conv2d(const ConvShape& shape, const float* x, const float* w, float* y, const KernelContext& context,
            const Epilogue<float>& epilogue) {
    if (is_depthwise(shape)) return depthwise(shape, x, w, y, context, epilogue);
    const ConvShape s = without_edges(shape);
    const Patches patches = input_patches(s);
    Gemm g;
    g.batch_inner = s.groups;
    g.m = s.n * s.oh * s.ow, g.n = s.group_o(), g.k = s.kh * s.kw * s.group_c();
    g.a = {.data = x, .patches = &patches, .inner_stride = s.group_c()};
    g.b = {.data = w, .leading_dimension = g.k, .by_columns = true, .inner_stride = g.n * g.k};
    g.c = Result::matrix(y, g.m, s.o);
    g.c.inner_stride = g.n;
    g.epilogue = epilogue;
    g.bias_inner_stride = g.n;
    gemm(g, context);
}

void conv2d_input_gradient(const ConvShape& shape, const float* g, const float* w, float* dx,
                           const KernelContext& context) {
    if (is_depthwise(shape)) return depthwise_input_gradient(shape, g, w, dx, context);
    const ConvShape s = without_edges(shape);
    float* filters = reinterpret_cast<float*>(context.workspace.data());
    const KernelContext inner{context.threads, context.workspace.subspan(filter_bytes(s))};
    for (int64_t row = 0; row < std::min(s.stride_h, s.h); ++row)
        for (int64_t column = 0; column < std::min(s.stride_w, s.w); ++column) {
            const Phase rows(row, s.h, s.kh, s.stride_h, s.dilation_h, s.pad_top);
            const Phase columns(column, s.w, s.kw, s.stride_w, s.dilation_w, s.pad_left);
            phase_filters(s, rows, columns, w, filters);
            const Patches patches = gradient_patches(s, rows, columns);
            const Result result{.data = dx + (row * s.w + column) * s.c,
                                .grid_h = rows.rows,
                                .grid_w = columns.rows,
                                .image_stride = s.h * s.w * s.c,
                                .stride_h = s.stride_h * s.w * s.c,
                                .stride_w = s.stride_w * s.c,
                                .inner_stride = s.group_c()};
            if (is_planar(s)) {
                planar(patches, g, s.n, filters, s.c, result, inner);
                continue;
            }
            Gemm product;
            product.batch_inner = s.groups;
            product.m = s.n * rows.rows * columns.rows, product.n = s.group_c();
            product.k = rows.taps * columns.taps * s.group_o();
            product.a = {.data = g, .patches = &patches, .inner_stride = s.group_o()};
            product.b = {
                .data = filters, .leading_dimension = product.n, .inner_stride = product.k * product.n};
            product.c = result;
            gemm(product, inner);
        }
}

void conv2d_weight_gradient(const ConvShape& shape, const float* x, const float* g, float* dw,
                            const KernelContext& context) {
    if (is_depthwise(shape)) return depthwise_weight_gradient(shape, x, g, dw, context);
    const ConvShape s = without_edges(shape);
    const Patches patches = input_patches(s);
    Gemm product;
    product.batch_inner = s.groups;
    product.m = s.group_o(), product.n = s.kh * s.kw * s.group_c(), product.k = s.n * s.oh * s.ow;
    product.a = {.data = g, .leading_dimension = s.o, .by_columns = true, .inner_stride = s.group_o()};
    product.b = {.data = x, .patches = &patches, .inner_stride = s.group_c()};
    product.c = Result::matrix(dw, product.m, product.n);
    product.c.inner_stride = product.m * product.n;
    gemm(product, context);
}

std::size_t conv2d_workspace(const ConvShape& s, int threads) {
    if (is_depthwise(s)) return depthwise_workspace(s);
    return gemm_workspace(s.n * s.oh * s.ow, s.group_o(), s.kh * s.kw * s.group_c(), threads);
}

std::size_t conv2d_input_gradient_workspace(const ConvShape& s, int threads) {
    if (is_depthwise(s)) return depthwise_workspace(s);
    if (is_planar(s)) {
        std::size_t bytes = 0;
        for (int64_t row = 0; row < std::min(s.stride_h, s.h); ++row)
            for (int64_t column = 0; column < std::min(s.stride_w, s.w); ++column)
                bytes = std::max(
                    bytes, planar_workspace(
                               gradient_patches(s, {row, s.h, s.kh, s.stride_h, s.dilation_h, s.pad_top},
                                                {column, s.w, s.kw, s.stride_w, s.dilation_w, s.pad_left}),
                               threads));
        return filter_bytes(s) + bytes;
    }
    // No phase has more rows, nor more products in a sum, than all of them together.
    return filter_bytes(s) + gemm_workspace(s.n * s.h * s.w, s.group_c(), s.kh * s.kw * s.group_o(), threads);
}

std::size_t conv2d_weight_gradient_workspace(const ConvShape& s, int threads) {
    if (is_depthwise(s)) return depthwise_weight_gradient_workspace(s);
    return gemm_workspace(s.group_o(), s.kh * s.kw * s.group_c(), s.n * s.oh * s.ow, threads);
}

}  // namespace microtome::cpu
