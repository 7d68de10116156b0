// Weight gradients from the pixels alone that won a pooling.
#include "tensor/cpu/isa/simd.hpp"
#include "tensor/cpu/sparse_weights_table.hpp"

namespace microtome::cpu::MICROTOME_ISA_NAME {
namespace {

void lists(const SparseLists& s) {
    // Of the four pixels of a window, and of none.
    const int32_t winner_at[5] = {0, static_cast<int32_t>(s.at_pixel), static_cast<int32_t>(s.at_line),
                                  static_cast<int32_t>(s.at_line + s.at_pixel), 0};
    for (int64_t o = 0; o < s.filters; ++o) {
        SparseEntry* const begin = s.entries + o * kSparseWindows;
        SparseEntry* entry = begin;
        for (int64_t i = 0; i < s.lines; ++i) {
            const float* g = s.g + i * s.line + o;
            const uint8_t* gate = s.gate + i * s.line + o;
            int32_t at = static_cast<int32_t>(2 * i * s.at_line);
            for (int64_t j = 0; j < s.windows; ++j, g += s.filters, gate += s.filters) {
                const uint8_t winner = *gate;
                // Written in any case: which windows count is random, and a branch would often be guessed
                // wrong. The last entry has room behind it.
                *entry = {at + winner_at[winner], *g};
                entry += winner < 4;
                at += static_cast<int32_t>(2 * s.at_pixel);
            }
        }
        s.counts[o] = static_cast<int32_t>(entry - begin);
    }
}

// Rows x Vectors * kWidth floats of every filter's sums, from `row` and `column` on. Chains: entries are
// taken in turn by as many sums, which are added in the end; with few sums to fill the time one would wait
// for itself.
template <int Chains, int Rows, int Vectors>
MICROTOME_INLINE void add_block(const SparseRows& s, int64_t row, int64_t column) {
    const float* x = s.x + row * s.line + column;
    float* to = s.sums + row * s.run + column;
    const bool first = row == 0 && column == 0 && s.bias != nullptr;
    for (int64_t o = 0; o < s.filters; ++o, to += s.sums_step) {
        const SparseEntry *entry = s.entries + o * kSparseWindows, *end = entry + s.counts[o];
        Floats sum[Chains][Rows][Vectors], sum_g = {};
        for (int chain = 0; chain < Chains; ++chain)
            for (int r = 0; r < Rows; ++r)
                for (int v = 0; v < Vectors; ++v) sum[chain][r][v] = Floats{};
        const auto add = [&](int chain) __attribute__((always_inline)) {
            const Floats g = broadcast(entry->g);
            const float* pixel = x + entry->at;
            ++entry;
            sum_g += g;
            for (int r = 0; r < Rows; ++r)
                for (int v = 0; v < Vectors; ++v)
                    sum[chain][r][v] = fma(g, load(pixel + r * s.line + v * kWidth), sum[chain][r][v]);
        };
        while (end - entry >= Chains)
            for (int chain = 0; chain < Chains; ++chain) add(chain);
        if constexpr (Chains == 2)
            if (entry < end) add(0);
        for (int r = 0; r < Rows; ++r)
            for (int v = 0; v < Vectors; ++v) {
                float* at = to + r * s.run + v * kWidth;
                if constexpr (Chains == 2) sum[0][r][v] += sum[1][r][v];
                store(at, load(at) + sum[0][r][v]);
            }
        if (first) s.bias[o] += sum_g[0];
    }
}

void rows(const SparseRows& s) {
    if (s.run == 32) return add_block<2, 1, 32 / kWidth>(s, 0, 0);
    if constexpr (kWidth == 16) {  // 18 or 9 of the 32 registers
        for (int64_t row = 0; row + 3 <= s.rows; row += 3)
            if (s.run == 96)
                add_block<1, 3, 6>(s, row, 0);
            else
                add_block<1, 3, 3>(s, row, 0);
        for (int64_t row = s.rows / 3 * 3; row < s.rows; ++row)
            for (int64_t column = 0; column < s.run; column += 48) add_block<1, 1, 3>(s, row, column);
    } else {
        for (int64_t row = 0; row < s.rows; ++row)
            for (int64_t column = 0; column < s.run; column += 48)
                add_block<1, 1, 48 / kWidth>(s, row, column);
    }
}

}  // namespace

extern const SparseWeightsTable sparse_weights_table = {lists, rows};

}  // namespace microtome::cpu::MICROTOME_ISA_NAME
