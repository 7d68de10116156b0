#include "tensor/cpu/conv2d.hpp"

#include "tensor/cpu/gemm.hpp"

#include <algorithm>
#include <numeric>

namespace microtome::cpu {
namespace {

// The patches of x that the filters meet: row (n, i, j), column (p, q, c) of the group.
Patches input_patches(const ConvShape& s) {
    return {.height = s.h,
            .width = s.w,
            .pixel_stride = s.c,
            .channels = s.group_c(),
            .grid_h = s.oh,
            .grid_w = s.ow,
            .step_h = s.stride_h,
            .step_w = s.stride_w,
            .taps_h = s.kh,
            .taps_w = s.kw,
            .tap_h = s.dilation_h,
            .tap_w = s.dilation_w,
            .origin_h = -s.pad_top,
            .origin_w = -s.pad_left};
}

// With a stride, the rows of x fall into as many phases, each met by some of the filter's rows only: those
// p for which row + pad - p * dilation is a multiple of the stride. Within a phase the input gradient is a
// dense convolution of g. The same holds for columns.
struct Phase {
    int64_t first;     // row of x; the others follow a stride apart
    int64_t rows;      // how many
    int64_t last_tap;  // the largest p; they are counted down, so that rows of g are counted up
    int64_t taps;      // how many
    int64_t tap_step;  // from one p to the next smaller
    int64_t reach;     // how far apart in g the taps are
    int64_t origin;    // the row of g that `last_tap` sends to row `first`

    Phase(int64_t start, int64_t size, int64_t kernel, int64_t stride, int64_t dilation, int64_t pad)
        : first(start), rows(size > start ? (size - start - 1) / stride + 1 : 0) {
        tap_step = stride / std::gcd(stride, dilation);
        reach = dilation * tap_step / stride;
        last_tap = kernel - 1;
        while (last_tap >= 0 && last_tap > kernel - 1 - tap_step &&
               (start + pad - last_tap * dilation) % stride != 0)
            --last_tap;
        bool met = last_tap >= 0 && (start + pad - last_tap * dilation) % stride == 0;
        taps = met ? last_tap / tap_step + 1 : 0;
        origin = met ? (start + pad - last_tap * dilation) / stride : 0;
    }
};

// The filters of one phase as a matrix for each group: row (p, q, o) in the order above, column c.
void phase_filters(const ConvShape& s, const Phase& rows, const Phase& columns, const float* w,
                   float* matrix) {
    for (int64_t group = 0; group < s.groups; ++group)
        for (int64_t t = 0; t < rows.taps; ++t)
            for (int64_t u = 0; u < columns.taps; ++u)
                for (int64_t o = group * s.group_o(); o < (group + 1) * s.group_o(); ++o) {
                    int64_t p = rows.last_tap - t * rows.tap_step,
                            q = columns.last_tap - u * columns.tap_step;
                    matrix = std::copy_n(w + ((o * s.kh + p) * s.kw + q) * s.group_c(), s.group_c(), matrix);
                }
}

std::size_t filter_bytes(const ConvShape& s) {  // rounded up to keep what follows aligned
    return (static_cast<std::size_t>(s.filters().elements()) * sizeof(float) + 63) / 64 * 64;
}

}  // namespace

void conv2d(const ConvShape& s, const float* x, const float* w, float* y, const KernelContext& context,
            const Epilogue<float>& epilogue) {
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

void conv2d_input_gradient(const ConvShape& s, const float* g, const float* w, float* dx,
                           const KernelContext& context) {
    float* filters = reinterpret_cast<float*>(context.workspace.data());
    const KernelContext inner{context.threads, context.workspace.subspan(filter_bytes(s))};
    for (int64_t row = 0; row < s.stride_h; ++row)
        for (int64_t column = 0; column < s.stride_w; ++column) {
            const Phase rows(row, s.h, s.kh, s.stride_h, s.dilation_h, s.pad_top);
            const Phase columns(column, s.w, s.kw, s.stride_w, s.dilation_w, s.pad_left);
            if (rows.rows == 0 || columns.rows == 0) continue;
            phase_filters(s, rows, columns, w, filters);
            const Patches patches{.height = s.oh,
                                  .width = s.ow,
                                  .pixel_stride = s.o,
                                  .channels = s.group_o(),
                                  .grid_h = rows.rows,
                                  .grid_w = columns.rows,
                                  .step_h = 1,
                                  .step_w = 1,
                                  .taps_h = rows.taps,
                                  .taps_w = columns.taps,
                                  .tap_h = rows.reach,
                                  .tap_w = columns.reach,
                                  .origin_h = rows.origin,
                                  .origin_w = columns.origin};
            Gemm product;
            product.batch_inner = s.groups;
            product.m = s.n * rows.rows * columns.rows, product.n = s.group_c();
            product.k = rows.taps * columns.taps * s.group_o();
            product.a = {.data = g, .patches = &patches, .inner_stride = s.group_o()};
            product.b = {
                .data = filters, .leading_dimension = product.n, .inner_stride = product.k * product.n};
            product.c = {.data = dx + (row * s.w + column) * s.c,
                         .grid_h = rows.rows,
                         .grid_w = columns.rows,
                         .image_stride = s.h * s.w * s.c,
                         .stride_h = s.stride_h * s.w * s.c,
                         .stride_w = s.stride_w * s.c,
                         .inner_stride = s.group_c()};
            gemm(product, inner);
        }
}

void conv2d_weight_gradient(const ConvShape& s, const float* x, const float* g, float* dw,
                            const KernelContext& context) {
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
    return gemm_workspace(s.n * s.oh * s.ow, s.group_o(), s.kh * s.kw * s.group_c(), threads);
}

std::size_t conv2d_input_gradient_workspace(const ConvShape& s, int threads) {
    // No phase has more rows, nor more products in a sum, than all of them together.
    return filter_bytes(s) + gemm_workspace(s.n * s.h * s.w, s.group_c(), s.kh * s.kw * s.group_o(), threads);
}

std::size_t conv2d_weight_gradient_workspace(const ConvShape& s, int threads) {
    return gemm_workspace(s.group_o(), s.kh * s.kw * s.group_c(), s.n * s.oh * s.ow, threads);
}

}  // namespace microtome::cpu
