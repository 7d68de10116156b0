#include "tensor/cpu/double_product.hpp"

#include "tensor/cpu/double_product_table.hpp"
#include "tensor/cpu/isa.hpp"
#include "tensor/cpu/parallel.hpp"
#include "tensor/reference/matmul.hpp"
#include "tensor/reference/ordered_sum.hpp"

#include <algorithm>
#include <array>
#include <type_traits>
#include <vector>

namespace microtome::cpu {
namespace {

constexpr int64_t kTiles = 4;  // whose rows share a pass over the right factor
constexpr int64_t kPanelRows = kTiles * kDoubleRows;
constexpr int64_t kWorthwhile = 16384;  // products

// Doubles, or one part of dual numbers: element i lies at data[i * step].
struct Numbers {
    const double* data;
    int64_t step;
    double operator[](int64_t i) const { return data[i * step]; }
};
Numbers values(const double* x) {
    return {x, 1};
}
Numbers values(const Dual* x) {
    return {&x->value, 2};
}
Numbers tangents(const Dual* x) {
    return {&x->tangent, 2};
}
bool all_zero(Numbers x, int64_t count) {
    for (int64_t i = 0; i < count; ++i)
        if (x[i] != 0) return false;
    return true;
}

int64_t padded(int64_t columns) {
    return (columns + kDoubleColumns - 1) / kDoubleColumns * kDoubleColumns;
}
std::size_t workspace_bytes(int64_t columns, int64_t k, int threads) {
    return static_cast<std::size_t>((padded(columns) + threads * kPanelRows) * k) * sizeof(double);
}

// One tile in the order of reference::OrderedSum.
using Tile = std::array<double, kDoubleRows * kDoubleColumns>;
void ordered_tile(int64_t k, const double* a, const double* b, Tile& c) {
    const auto kernel =
        pick(reference::double_product_table, avx2::double_product_table, avx512::double_product_table).tile;
    c.fill(0);
    Tile slice;
    for (int64_t begin = 0; begin < k; begin += kSumSlice) {
        Tile& sum = begin == 0 ? c : slice;
        const int64_t end = std::min(begin + kSumSlice, k);
        for (int64_t i = begin; i < end; i += kSumBlock)
            kernel(std::min(kSumBlock, end - i), a + i * kDoubleRows, b + i * kDoubleColumns, sum.data(),
                   i > begin);
        if (begin == 0) continue;
        for (std::size_t i = 0; i < c.size(); ++i) c[i] += slice[i];
    }
}

// (m, n) = (m, k) times (k, n). right(i, j) is element (i, j) of the right factor; left(row, to) writes a row
// of the left one, element i to to[i * 8]; store(row, column, value) takes the result. Rows are shared out
// among threads.
template <class Left, class Right, class Store>
void product(int64_t m, int64_t n, int64_t k, const KernelContext& context, const Left& left,
             const Right& right, const Store& store) {
    auto* const packed = reinterpret_cast<double*>(context.workspace.data());
    const int64_t width = padded(n);
    parallel_tasks(width / kDoubleColumns, context.threads, [&](int64_t block, int) {
        double* to = packed + block * kDoubleColumns * k;
        for (int64_t j = 0; j < kDoubleColumns; ++j) {
            const int64_t column = block * kDoubleColumns + j;
            for (int64_t i = 0; i < k; ++i) to[i * kDoubleColumns + j] = column < n ? right(i, column) : 0;
        }
    });
    parallel_tasks((m + kPanelRows - 1) / kPanelRows, context.threads, [&](int64_t task, int thread) {
        double* const panel = packed + width * k + thread * kPanelRows * k;
        const int64_t first = task * kPanelRows, rows = std::min(kPanelRows, m - first);
        const int64_t tiles = (rows + kDoubleRows - 1) / kDoubleRows;
        for (int64_t r = 0; r < tiles * kDoubleRows; ++r) {
            double* const to = panel + r / kDoubleRows * kDoubleRows * k + r % kDoubleRows;
            if (r < rows)
                left(first + r, to);
            else
                for (int64_t i = 0; i < k; ++i) to[i * kDoubleRows] = 0;
        }
        Tile c;
        for (int64_t column = 0; column < n; column += kDoubleColumns)
            for (int64_t t = 0; t < tiles; ++t) {
                ordered_tile(k, panel + t * kDoubleRows * k, packed + column * k, c);
                for (int64_t r = 0; r < std::min(kDoubleRows, rows - t * kDoubleRows); ++r)
                    for (int64_t j = 0; j < std::min(kDoubleColumns, n - column); ++j)
                        store(first + t * kDoubleRows + r, column + j,
                              c[static_cast<std::size_t>(r * kDoubleColumns + j)]);
            }
    });
}

// Copies pixel (row, column) of an image, or zeros if it lies outside, and moves `to` behind it.
void put_pixel(Numbers image, int64_t height, int64_t width, int64_t channels, int64_t row, int64_t column,
               double*& to) {
    if (row < 0 || row >= height || column < 0 || column >= width) {
        for (int64_t c = 0; c < channels; ++c, to += kDoubleRows) *to = 0;
        return;
    }
    const double* from = image.data + (row * width + column) * channels * image.step;
    for (int64_t c = 0; c < channels; ++c, to += kDoubleRows, from += image.step) *to = *from;
}

template <class Store>
void conv2d_part(const ConvShape& s, Numbers x, Numbers w, const KernelContext& context, const Store& store) {
    const int64_t k = s.kh * s.kw * s.c;
    auto left = [&](int64_t pixel, double* to) {
        const int64_t j = pixel % s.ow, i = pixel / s.ow % s.oh, n = pixel / s.ow / s.oh;
        const Numbers image{x.data + n * s.h * s.w * s.c * x.step, x.step};
        for (int64_t p = 0; p < s.kh; ++p)
            for (int64_t q = 0; q < s.kw; ++q)
                put_pixel(image, s.h, s.w, s.c, i * s.stride_h + p * s.dilation_h - s.pad_top,
                          j * s.stride_w + q * s.dilation_w - s.pad_left, to);
    };
    product(
        s.n * s.oh * s.ow, s.o, k, context, left, [&](int64_t i, int64_t o) { return w[o * k + i]; },
        [&](int64_t pixel, int64_t o, double value) { store(pixel * s.o + o, o, value); });
}

// The pixels of an axis that the same taps meet: place + pad - tap * dilation is a multiple of the stride for
// those.
struct Phase {
    std::vector<int64_t> places, taps;  // taps falling
};
std::vector<Phase> phases(int64_t size, int64_t kernel, int64_t stride, int64_t dilation, int64_t pad) {
    std::vector<Phase> result(static_cast<std::size_t>(std::min(stride, size)));
    for (int64_t place = 0; place < size; ++place)
        result[static_cast<std::size_t>(place % stride)].places.push_back(place);
    for (std::size_t phase = 0; phase < result.size(); ++phase)
        for (int64_t tap = kernel - 1; tap >= 0; --tap)
            if ((static_cast<int64_t>(phase) + pad - tap * dilation) % stride == 0)
                result[phase].taps.push_back(tap);
    return result;
}

template <class Store>
void conv2d_input_gradient_part(const ConvShape& s, Numbers g, Numbers w, const KernelContext& context,
                                const Store& store) {
    for (const Phase& rows : phases(s.h, s.kh, s.stride_h, s.dilation_h, s.pad_top))
        for (const Phase& columns : phases(s.w, s.kw, s.stride_w, s.dilation_w, s.pad_left)) {
            const auto height = static_cast<int64_t>(rows.places.size()),
                       width = static_cast<int64_t>(columns.places.size());
            auto place = [&](int64_t pixel) {  // in dx, counted in pixels
                const int64_t row = rows.places[static_cast<std::size_t>(pixel / width % height)],
                              column = columns.places[static_cast<std::size_t>(pixel % width)];
                return (pixel / width / height * s.h + row) * s.w + column;
            };
            auto left = [&](int64_t pixel, double* to) {
                const int64_t at = place(pixel), row = at / s.w % s.h, column = at % s.w;
                const Numbers image{g.data + at / s.w / s.h * s.oh * s.ow * s.o * g.step, g.step};
                for (int64_t p : rows.taps)
                    for (int64_t q : columns.taps)
                        put_pixel(image, s.oh, s.ow, s.o, (row + s.pad_top - p * s.dilation_h) / s.stride_h,
                                  (column + s.pad_left - q * s.dilation_w) / s.stride_w, to);
            };
            auto right = [&](int64_t i, int64_t c) {
                const int64_t o = i % s.o, tap = i / s.o;
                const auto count = static_cast<int64_t>(columns.taps.size());
                const int64_t p = rows.taps[static_cast<std::size_t>(tap / count)],
                              q = columns.taps[static_cast<std::size_t>(tap % count)];
                return w[((o * s.kh + p) * s.kw + q) * s.c + c];
            };
            const auto k = static_cast<int64_t>(rows.taps.size() * columns.taps.size()) * s.o;
            product(s.n * height * width, s.c, k, context, left, right,
                    [&](int64_t pixel, int64_t c, double value) { store(place(pixel) * s.c + c, value); });
        }
}

// Whether any element of the batch's matrices, rows x columns each, is not zero.
bool any(const MatmulShape& s, Numbers x, const MatrixLayout& layout, int64_t rows, int64_t columns) {
    for (int64_t outer = 0; outer < s.batch_outer; ++outer)
        for (int64_t inner = 0; inner < s.batch_inner; ++inner)
            for (int64_t i = 0; i < rows; ++i)
                for (int64_t j = 0; j < columns; ++j)
                    if (x[microtome::reference::element_offset(layout, outer, inner, i, j)] != 0) return true;
    return false;
}

template <class Store>
void matmul_part(const MatmulShape& s, Numbers a, Numbers b, const KernelContext& context,
                 const Store& store) {
    for (int64_t outer = 0; outer < s.batch_outer; ++outer)
        for (int64_t inner = 0; inner < s.batch_inner; ++inner)
            product(
                s.m, s.n, s.k, context,
                [&](int64_t row, double* to) {
                    for (int64_t i = 0; i < s.k; ++i)
                        to[i * kDoubleRows] =
                            a[microtome::reference::element_offset(s.a, outer, inner, row, i)];
                },
                [&](int64_t i, int64_t column) {
                    return b[microtome::reference::element_offset(s.b, outer, inner, i, column)];
                },
                [&](int64_t row, int64_t column, double value) {
                    store(microtome::reference::element_offset(s.c, outer, inner, row, column), column,
                          value);
                });
}

}  // namespace

bool double_product_pays(const ConvShape& s) {
    return s.groups == 1 && s.n * s.oh * s.ow * s.o * s.kh * s.kw * s.c >= kWorthwhile;
}
bool double_product_pays(const MatmulShape& s) {
    return s.m * s.n * s.k >= kWorthwhile;
}

std::size_t double_conv2d_workspace(const ConvShape& s, int threads) {
    return double_product_pays(s) ? workspace_bytes(s.o, s.kh * s.kw * s.c, threads) : 0;
}
std::size_t double_conv2d_input_gradient_workspace(const ConvShape& s, int threads) {
    return double_product_pays(s) ? workspace_bytes(s.c, s.kh * s.kw * s.o, threads) : 0;
}
std::size_t double_matmul_workspace(const MatmulShape& s, int threads) {
    return double_product_pays(s) ? workspace_bytes(s.n, s.k, threads) : 0;
}

template <class T>
void double_conv2d(const ConvShape& s, const T* x, const T* w, T* y, const KernelContext& context,
                   const Epilogue<T>& epilogue) {
    conv2d_part(s, values(x), values(w), context,
                [&](int64_t at, int64_t o, double value) { y[at] = epilogue.finish(T(value), o, at); });
    if constexpr (std::is_same_v<T, Dual>) {
        if (!all_zero(tangents(x), s.input().elements()))
            conv2d_part(s, tangents(x), values(w), context,
                        [&](int64_t at, int64_t, double value) { y[at].tangent = value; });
        if (!all_zero(tangents(w), s.filters().elements()))
            conv2d_part(s, values(x), tangents(w), context,
                        [&](int64_t at, int64_t, double value) { y[at].tangent += value; });
    }
}

template <class T>
void double_conv2d_input_gradient(const ConvShape& s, const T* g, const T* w, T* dx,
                                  const KernelContext& context) {
    conv2d_input_gradient_part(s, values(g), values(w), context,
                               [&](int64_t at, double value) { dx[at] = value; });
    if constexpr (std::is_same_v<T, Dual>) {
        if (!all_zero(tangents(g), s.output().elements()))
            conv2d_input_gradient_part(s, tangents(g), values(w), context,
                                       [&](int64_t at, double value) { dx[at].tangent = value; });
        if (!all_zero(tangents(w), s.filters().elements()))
            conv2d_input_gradient_part(s, values(g), tangents(w), context,
                                       [&](int64_t at, double value) { dx[at].tangent += value; });
    }
}

template <class T>
void double_matmul(const MatmulShape& s, const T* a, const T* b, T* c, const KernelContext& context,
                   const Epilogue<T>& epilogue) {
    matmul_part(s, values(a), values(b), context, [&](int64_t at, int64_t column, double value) {
        c[at] = epilogue.finish(T(value), column, at);
    });
    if constexpr (std::is_same_v<T, Dual>) {
        if (any(s, tangents(a), s.a, s.m, s.k))
            matmul_part(s, tangents(a), values(b), context,
                        [&](int64_t at, int64_t, double value) { c[at].tangent = value; });
        if (any(s, tangents(b), s.b, s.k, s.n))
            matmul_part(s, values(a), tangents(b), context,
                        [&](int64_t at, int64_t, double value) { c[at].tangent += value; });
    }
}

template void double_conv2d(const ConvShape&, const double*, const double*, double*, const KernelContext&,
                            const Epilogue<double>&);
template void double_conv2d(const ConvShape&, const Dual*, const Dual*, Dual*, const KernelContext&,
                            const Epilogue<Dual>&);
template void double_conv2d_input_gradient(const ConvShape&, const double*, const double*, double*,
                                           const KernelContext&);
template void double_conv2d_input_gradient(const ConvShape&, const Dual*, const Dual*, Dual*,
                                           const KernelContext&);
template void double_matmul(const MatmulShape&, const double*, const double*, double*, const KernelContext&,
                            const Epilogue<double>&);
template void double_matmul(const MatmulShape&, const Dual*, const Dual*, Dual*, const KernelContext&,
                            const Epilogue<Dual>&);

}  // namespace microtome::cpu
