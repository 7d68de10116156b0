// Convolution in place: a tile of positions by results stays in registers from the first product to the last
// ReLU.
#include "tensor/cpu/direct_table.hpp"
#include "tensor/cpu/isa/finish.hpp"

namespace microtome::cpu::MICROTOME_ISA_NAME {
namespace {

constexpr int64_t kBlocksOfSlice = 16;  // kSumSlice / kSumBlock

// Filters as a tile reads them: `advance` floats from one product to the next, `vector` from one vector to
// the next.
struct Strip {
    const float* data;
    int64_t advance, vector;
};

template <int Lanes, int Vectors, int Positions>
using Sums = typename Vector<Lanes>::Type[2 * Positions][Vectors];

template <int Lanes, int Vectors, int Positions>
MICROTOME_INLINE void clear(Sums<Lanes, Vectors, Positions>& sum) {
    for (int r = 0; r < 2 * Positions; ++r)  // one by one: gcc makes a call in memory of "= {}"
        for (int v = 0; v < Vectors; ++v) sum[r][v] = typename Vector<Lanes>::Type{};
}

// sum = from + sum, or from.
template <int Lanes, int Vectors, int Positions>
MICROTOME_INLINE void add(const Sums<Lanes, Vectors, Positions>& from, Sums<Lanes, Vectors, Positions>& sum,
                          bool first) {
    for (int r = 0; r < 2 * Positions; ++r)
        for (int v = 0; v < Vectors; ++v) sum[r][v] = first ? from[r][v] : sum[r][v] + from[r][v];
}

// Chains the products of some runs to the sums of 2 x Positions positions. x: the first position of either
// line.
template <int Lanes, int Vectors, int Positions>
MICROTOME_INLINE void multiply(const Run* run, const Run* end, int64_t step, const float* const* x,
                               const Strip& strip, const float*& filter,
                               Sums<Lanes, Vectors, Positions>& sum) {
    using V = typename Vector<Lanes>::Type;
    constexpr int pointers =
        (Positions + 2) / 3;  // one serves three positions, as many as an address can reach
    for (; run < end; ++run) {
        const float* at[2][pointers];
        for (int line = 0; line < 2; ++line)
            for (int q = 0; q < pointers; ++q) at[line][q] = x[line] + run->offset + 3 * q * step;
        for (int64_t i = run->length; i > 0; --i) {
            V factor[Vectors];
            for (int v = 0; v < Vectors; ++v) factor[v] = load_lanes<Lanes>(filter + v * strip.vector);
            for (int line = 0; line < 2; ++line)
                for (int p = 0; p < Positions; ++p) {
                    const V element = at[line][p / 3][p % 3 * step] - V{};
                    for (int v = 0; v < Vectors; ++v) {
                        V& s = sum[line * Positions + p][v];
                        s = fma_lanes<Lanes>(element, factor[v], s);
                    }
                }
            // Keeps the compiler from one address for every position.
            for (int line = 0; line < 2; ++line)
                for (int q = 0; q < pointers; ++q) asm("" : "+r"(++at[line][q]));
            filter += strip.advance;
        }
    }
}

// The complete sums, in the order of OrderedSum, and what is made of them. OneBlock: of no more than a block,
// and then they never leave the registers.
template <int Lanes, int Vectors, int Positions, bool OneBlock>
void tile(const DirectLines& a, const float* const* x, const Strip& strip, int64_t column, const Place& to) {
    constexpr int all = 2 * Positions;
    const float* filter = strip.data;
    Sums<Lanes, Vectors, Positions> sum;
    clear<Lanes, Vectors, Positions>(sum);
    if constexpr (OneBlock) {
        multiply<Lanes, Vectors, Positions>(a.runs, a.runs + a.block_ends[0], a.step, x, strip, filter, sum);
    } else {
        Sums<Lanes, Vectors, Positions> slice, total;
        asm("" : "=m"(slice), "=m"(total));  // they are written before they are read, which gcc does not see
        const Run* run = a.runs;
        for (int64_t block = 0; block < a.blocks; ++block) {
            const Run* end = a.runs + a.block_ends[block];
            multiply<Lanes, Vectors, Positions>(run, end, a.step, x, strip, filter, sum);
            run = end;
            if (block + 1 == a.blocks) break;
            add<Lanes, Vectors, Positions>(sum, slice, block % kBlocksOfSlice == 0);
            clear<Lanes, Vectors, Positions>(sum);
            if (block % kBlocksOfSlice == kBlocksOfSlice - 1)
                add<Lanes, Vectors, Positions>(slice, total, block < kBlocksOfSlice);
        }
        for (int r = 0; r < all; ++r)
            for (int v = 0; v < Vectors; ++v) {
                if (a.blocks > 1 && a.blocks % kBlocksOfSlice != 1) sum[r][v] = slice[r][v] + sum[r][v];
                if (a.blocks > kBlocksOfSlice) sum[r][v] = total[r][v] + sum[r][v];
            }
    }

    if (column + Lanes * Vectors <= a.columns) {
        for (int v = 0; v < Vectors; ++v)
            store_results<Lanes, Positions>(
                a.pool, to, column + v * Lanes, [&](int line, int p) __attribute__((always_inline)) {
                    return sum[line * Positions + p][v];
                });
        return;
    }
    float row[all][Lanes * Vectors];
    for (int r = 0; r < all; ++r)
        for (int v = 0; v < Vectors; ++v) store_lanes<Lanes>(row[r] + v * Lanes, sum[r][v]);
    for (int64_t c = column; c < a.columns; ++c)
        store_results<1, Positions>(a.pool, to, c, [&](int line, int p) {
            return load_lanes<1>(row[line * Positions + p] + (c - column));
        });
}

template <int Lanes, int Vectors, int Positions>
MICROTOME_INLINE void tile_of(int64_t positions, const DirectLines& a, const float* const* x,
                              const Strip& strip, int64_t column, const Place& to) {
    if (positions == Positions) {
        if (a.blocks == 1) return tile<Lanes, Vectors, Positions, true>(a, x, strip, column, to);
        return tile<Lanes, Vectors, Positions, false>(a, x, strip, column, to);
    }
    if constexpr (Positions > 1) tile_of<Lanes, Vectors, Positions - 1>(positions, a, x, strip, column, to);
}

// All positions, Positions or fewer of each line at a time, by Lanes * Vectors results from `column` on.
template <int Lanes, int Vectors, int Positions>
void columns_of(const DirectLines& a, const Strip& strip, int64_t column) {
    // One line alone is taken two pieces at a time.
    const bool one_line = a.lines == 1;
    const int64_t unit = a.pool ? 2 : 1, most = one_line ? 2 * Positions : Positions;
    for (int64_t j = 0, width = 0; j < a.count; j += width) {
        const int64_t left = a.count - j, tiles = (left + most - 1) / most;
        width = (left / unit + tiles - 1) / tiles * unit;  // nearly as many as in the others
        const int64_t positions = one_line ? (width + 1) / 2 : width;
        const int64_t second = one_line ? j + width - positions : j;  // the halves may share a position
        const float* x[2] = {a.x[0] + j * a.step, (one_line ? a.x[0] : a.x[1]) + second * a.step};
        Place to = {{}, {}, {}, a.bias, a.y_step, a.y_step / 8, a.relu};
        for (int line = 0; line < 2; ++line) {
            const int from = one_line ? 0 : line;
            const int64_t at = (line == 0 ? j : second) / unit * a.y_step;
            to.y[line] = a.y[from] + at;
            to.residual[line] = a.residual[from] == nullptr ? nullptr : a.residual[from] + at;
            to.gate[line] = a.gate[from] == nullptr ? nullptr : a.gate[from] + (a.pool ? at : at / 8);
        }
        tile_of<Lanes, Vectors, Positions>(positions, a, x, strip, column, to);
    }
}

void lines(const DirectLines& a) {
    const float* strip = a.strips;
    for (int64_t column = 0; column < a.columns;) {
        const int64_t left = a.columns - column, width = left > 8 ? 16 : left > 4 ? 8 : 4;
        if constexpr (kWidth == 16) {
            if (left > 24) {  // two whole strips
                columns_of<16, 2, 6>(a, {strip, 16, a.strip_floats}, column);
                column += 32, strip += 2 * a.strip_floats;
                continue;
            }
            if (width == 16) columns_of<16, 1, 6>(a, {strip, 16, 0}, column);
        }
        // With fewer registers 2 x 3 positions by two vectors; windows need an even number.
        if constexpr (kWidth == 8) {
            if (width == 16 && !a.pool) columns_of<8, 2, 3>(a, {strip, 16, 8}, column);
            if (width == 16 && a.pool) columns_of<8, 2, 2>(a, {strip, 16, 8}, column);
        }
        if constexpr (kWidth >= 8)
            if (width == 8) columns_of<8, 1, 6>(a, {strip, 8, 0}, column);
        if (kWidth == 4 || width == 4)
            for (int64_t c = 0; c < width; c += 4) columns_of<4, 1, 6>(a, {strip + c, width, 0}, column + c);
        column += width, strip += a.strip_floats;
    }
}

}  // namespace

extern const DirectTable direct_table = {kPacksGates, lines};

}  // namespace microtome::cpu::MICROTOME_ISA_NAME
