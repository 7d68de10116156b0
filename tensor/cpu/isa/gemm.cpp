// The tile of a matrix product that stays in registers.
#include "tensor/cpu/gemm_table.hpp"
#include "tensor/cpu/isa/strips.hpp"

namespace microtome::cpu::MICROTOME_ISA_NAME {
namespace {

// c[Rows][columns] = or += a b, over one panel and one strip of Lanes * Vectors columns.
template <int Rows, int Lanes, int Vectors, bool ByColumns>
MICROTOME_INLINE void multiply_tile(const Panel& a, const float* b, float* const* c, int64_t column,
                                    int64_t columns, bool add) {
    using V = typename Vector<Lanes>::Type;
    const int64_t row_stride = ByColumns ? 1 : a.row_stride;
    constexpr int64_t k_stride = ByColumns ? kPanelRows : 1;
    for (int r = 0; r < Rows; ++r) __builtin_prefetch(c[r] + column, 1);

    V sum[Rows][Vectors] = {};
    for (const Run* run = a.runs; run < a.runs + a.run_count; ++run) {
        // One pointer serves three rows, as many as one address can reach with a stride in a register.
        const float* row[(Rows + 2) / 3];
        for (int r = 0; r < Rows; r += 3) row[r / 3] = a.data + run->offset + r * row_stride;
        for (int64_t p = 0; p < run->length; ++p) {
            V factor[Vectors];
            for (int v = 0; v < Vectors; ++v) factor[v] = load_lanes<Lanes>(b + v * Lanes);
            for (int r = 0; r < Rows; ++r) {
                V element = row[r / 3][r % 3 * row_stride] - V{};
                for (int v = 0; v < Vectors; ++v) sum[r][v] = fma_lanes<Lanes>(element, factor[v], sum[r][v]);
            }
            for (int r = 0; r < Rows; r += 3) {
                row[r / 3] += k_stride;
                asm("" : "+r"(row[r / 3]));  // keeps the compiler from trading it for one address per row
            }
            b += Lanes * Vectors;
        }
    }

    if (columns == Lanes * Vectors) {
        for (int r = 0; r < Rows; ++r)
            for (int v = 0; v < Vectors; ++v) {
                float* to = c[r] + column + v * Lanes;
                store_lanes<Lanes>(to, add ? load_lanes<Lanes>(to) + sum[r][v] : sum[r][v]);
            }
        return;
    }
    for (int r = 0; r < Rows; ++r) {
        float row[Lanes * Vectors];
        for (int v = 0; v < Vectors; ++v) store_lanes<Lanes>(row + v * Lanes, sum[r][v]);
        float* to = c[r] + column;
        for (int64_t j = 0; j < columns; ++j) to[j] = add ? to[j] + row[j] : row[j];
    }
}

template <int Rows, bool ByColumns>
void multiply_panel(const Panel& a, int64_t n, int64_t k, const float* b, float* const* c, bool add) {
    int64_t j = 0;
    for (; j + kStripColumns <= n; j += kStripColumns, b += k * kStripColumns)
        multiply_tile<Rows, kWidth, 2, ByColumns>(a, b, c, j, kStripColumns, add);
    if (j == n) return;
    const int64_t left = n - j, width = strip_width(left);
    if (width == kStripColumns) multiply_tile<Rows, kWidth, 2, ByColumns>(a, b, c, j, left, add);
    if (width == kWidth) multiply_tile<Rows, kWidth, 1, ByColumns>(a, b, c, j, left, add);
    if constexpr (kWidth >= 8)
        if (width == kWidth / 2) multiply_tile<Rows, kWidth / 2, 1, ByColumns>(a, b, c, j, left, add);
    if constexpr (kWidth >= 16)
        if (width == kWidth / 4) multiply_tile<Rows, kWidth / 4, 1, ByColumns>(a, b, c, j, left, add);
}

template <bool ByColumns, int Rows = kPanelRows>
MICROTOME_INLINE void multiply_rows(const Panel& a, int64_t rows, int64_t n, int64_t k, const float* b,
                                    float* const* c, bool add) {
    if (rows == Rows) return multiply_panel<Rows, ByColumns>(a, n, k, b, c, add);
    if constexpr (Rows > 1) multiply_rows<ByColumns, Rows - 1>(a, rows, n, k, b, c, add);
}

void multiply(const Panel& a, int64_t rows, int64_t n, int64_t k, const float* strips, float* const* c,
              bool add) {
    if (a.by_columns)
        multiply_rows<true>(a, rows, n, k, strips, c, add);
    else
        multiply_rows<false>(a, rows, n, k, strips, c, add);
}

void finish(int64_t n, float* y, const float* bias, const float* residual, bool relu) {
    int64_t j = 0;
    for (; j + kWidth <= n; j += kWidth) {
        Floats v = load(y + j);
        if (bias != nullptr) v = v + load(bias + j);
        if (residual != nullptr) v = v + load(residual + j);
        if (relu) v = v <= 0.0f ? Floats{} : v;
        store(y + j, v);
    }
    for (; j < n; ++j) {
        float v = y[j];
        if (bias != nullptr) v = v + bias[j];
        if (residual != nullptr) v = v + residual[j];
        if (relu && v <= 0.0f) v = 0.0f;
        y[j] = v;
    }
}

int64_t multiply_add_registers(int64_t count, float* sink) {
    constexpr int chains = 12;  // latency of 4 to 5 cycles, two in each
    Floats sum[chains];         // all different, or the compiler would calculate but one
    Floats a = broadcast(sink[0]), b = broadcast(sink[1]);
    for (int c = 0; c < chains; ++c) sum[c] = broadcast(sink[0] * c);
    for (int64_t i = 0; i < count; ++i) {
        for (int c = 0; c < chains; ++c) sum[c] = fma(a, b, sum[c]);
    }
    for (int c = 1; c < chains; ++c) sum[0] += sum[c];
    for (int i = 0; i < kWidth; ++i) sink[0] += sum[0][i];
    return count * chains * kWidth * 2;
}

}  // namespace

extern const GemmTable gemm_table = {kPanelRows, kStripColumns, multiply, finish, multiply_add_registers};

}  // namespace microtome::cpu::MICROTOME_ISA_NAME
