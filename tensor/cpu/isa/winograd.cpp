// The transforms of F(4x4, 3x3), channels side by side. Points 0, 1, -1, 2, -2 and infinity.
#include "tensor/cpu/isa/finish.hpp"
#include "tensor/cpu/winograd_table.hpp"

namespace microtome::cpu::MICROTOME_ISA_NAME {
namespace {

constexpr int kPatch = kWinogradPatch, kTile = kWinogradTile;

// t = B^T d, six of each, `stride` apart.
//
//     4  0 -5  0  1  0
//     0 -4 -4  1  1  0
//     0  4 -4 -1  1  0
//     0 -2 -1  2  1  0
//     0  2 -1 -2  1  0
//     0  4  0 -5  0  1
MICROTOME_INLINE void input_line(const Floats* d, Floats* t, int stride) {
    const Floats two = broadcast(2.0f), four = broadcast(4.0f), five = broadcast(-5.0f);
    const Floats even = fma(-four, d[2], d[4]), odd = fma(-four, d[1], d[3]);
    const Floats far_even = d[4] - d[2], far_odd = d[3] - d[1];
    t[0] = fma(four, d[0], fma(five, d[2], d[4]));
    t[stride] = even + odd;
    t[2 * stride] = even - odd;
    t[3 * stride] = fma(two, far_odd, far_even);
    t[4 * stride] = fma(-two, far_odd, far_even);
    t[5 * stride] = fma(four, d[1], fma(five, d[3], d[5]));
}

void input(const float* x, int64_t line, int64_t channels, float* v, int64_t stride) {
    for (int64_t c = 0; c < channels; c += kWidth) {
        Floats half[kPatch][kPatch];  // lines of B^T d
        for (int j = 0; j < kPatch; ++j) {
            Floats d[kPatch];
            for (int i = 0; i < kPatch; ++i) d[i] = load(x + i * line + j * channels + c);
            input_line(d, &half[0][j], kPatch);
        }
        for (int i = 0; i < kPatch; ++i) {
            Floats t[kPatch];
            input_line(half[i], t, 1);
            for (int j = 0; j < kPatch; ++j) store(v + (i * kPatch + j) * stride + c, t[j]);
        }
    }
}

// y = A^T m, four of six.
//
//     1  1  1  1  1  0
//     0  1 -1  2 -2  0
//     0  1  1  4  4  0
//     0  1 -1  8 -8  1
MICROTOME_INLINE void output_line(const Floats* m, Floats* y, int stride) {
    const Floats two = broadcast(2.0f), four = broadcast(4.0f), eight = broadcast(8.0f);
    const Floats even = m[1] + m[2], odd = m[1] - m[2], far_even = m[3] + m[4], far_odd = m[3] - m[4];
    y[0] = (m[0] + even) + far_even;
    y[stride] = fma(two, far_odd, odd);
    y[2 * stride] = fma(four, far_even, even);
    y[3 * stride] = fma(eight, far_odd, odd) + m[5];
}

// Two lines of a tile, `count` positions of each; a line that stands alone is given twice.
template <int Positions = kTile>
MICROTOME_INLINE void store_lines(int64_t count, bool pool, const Place& to, int64_t column,
                                  const Floats* first, const Floats* second) {
    if (count == Positions)
        return store_results<kWidth, Positions>(
            pool, to, column, [=](int line, int p) __attribute__((always_inline)) {
                return (line == 0 ? first : second)[p];
            });
    if constexpr (Positions > 1) store_lines<Positions - 1>(count, pool, to, column, first, second);
}

void output(const WinogradOutput& o) {
    const int64_t lines_of_y = o.pool ? 1 : 2;  // of two lines of the tile
    for (int64_t c = 0; c < o.columns; c += kWidth) {
        Floats half[kTile][kPatch];  // lines of A^T m
        for (int j = 0; j < kPatch; ++j) {
            Floats m[kPatch];
            for (int i = 0; i < kPatch; ++i) m[i] = load(o.sums + (i * kPatch + j) * o.stride + c);
            output_line(m, &half[0][j], kPatch);
        }
        Floats y[kTile][kTile];
        for (int i = 0; i < kTile; ++i) output_line(half[i], y[i], 1);
        for (int64_t i = 0; i < o.lines; i += 2) {
            const int64_t next = i + 1 < o.lines ? 1 : 0;
            Place to = {{}, {}, {}, o.bias, o.y_step, o.y_step / 8, o.relu};
            for (int line = 0; line < 2; ++line) {
                const int64_t at = (i / 2 * lines_of_y + line * next * (lines_of_y - 1)) * o.y_line;
                to.y[line] = o.y + at;
                to.residual[line] = o.residual == nullptr ? nullptr : o.residual + at;
                to.gate[line] = o.gate == nullptr ? nullptr : o.gate + (o.pool ? at : at / 8);
            }
            store_lines(o.count, o.pool, to, c, y[i], y[i + next]);
        }
    }
}

}  // namespace

extern const WinogradTable winograd_table = {input, output};

}  // namespace microtome::cpu::MICROTOME_ISA_NAME
