// Input gradients from the live channels of a pooling's windows alone.
#include "tensor/cpu/isa/strips.hpp"
#include "tensor/cpu/sparse_table.hpp"

namespace microtome::cpu::MICROTOME_ISA_NAME {
namespace {

// The channels of up to 64 whose gate is `winner`.
MICROTOME_INLINE uint64_t winners(const uint8_t* gate, int64_t channels, int winner) {
    uint64_t mask = 0;
    int64_t c = 0;
#if defined(__AVX2__)
    for (; c + 32 <= channels; c += 32) {
        const __m256i bytes = _mm256_loadu_si256((const __m256i*)(gate + c));
        const int bits =
            _mm256_movemask_epi8(_mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(static_cast<char>(winner))));
        mask |= uint64_t{static_cast<unsigned>(bits)} << c;
    }
#endif
    for (; c < channels; ++c) mask |= uint64_t{gate[c] == winner} << c;
    return mask;
}

void masks(const uint8_t* gate, int64_t windows, int64_t channels, uint64_t* masks) {
    for (int64_t j = 0; j < windows; ++j, gate += channels)
        for (int64_t c = 0; c < channels; c += 64)
            for (int winner = 0; winner < 4; ++winner)
                *masks++ = winners(gate + c, channels - c < 64 ? channels - c : 64, winner);
}

MICROTOME_INLINE int64_t take_lowest(uint64_t& mask) {
    const int64_t lowest = __builtin_ctzll(mask);
    mask &= mask - 1;
    return lowest;
}

template <int Vectors>
MICROTOME_INLINE void add_columns(float* sums, int64_t pixel, const Floats (&sum)[2][Vectors]) {
    for (int u = 0; u < 2; ++u)
        for (int v = 0; v < Vectors; ++v) {
            float* to = sums + u * pixel + v * kWidth;
            store(to, load(to) + sum[u][v]);
        }
}

// Vectors * kWidth channels of dx, from `channel` of the chunk on. The four columns that a window meets are
// in registers: two are complete with it, and the others are the next one's first.
template <int Vectors>
void sweep_channels(const SparseSweep& s, int64_t channel) {
    constexpr int taps = kSparseTaps;
    const int64_t words = (s.channels + 63) / 64, filter_floats = taps * s.width;
    const float *filter = s.filter + channel, *g = s.g;
    const uint64_t* mask = s.masks + 2 * s.line;
    float* sums = s.sums + channel;
    Floats early[2][Vectors] = {}, late[2][Vectors] = {};
    for (int64_t j = 0; j < s.windows; ++j, g += s.channels, mask += 4 * words, sums += 2 * s.pixel) {
        for (int64_t word = 0; word < words; ++word)
            for (uint64_t live = mask[4 * word]; live != 0;) {  // the left pixel
                const int64_t o = 64 * word + take_lowest(live);
                const Floats e = broadcast(g[o]);
                const float* f = filter + o * filter_floats;
                for (int v = 0; v < Vectors; ++v) {
                    early[0][v] = fma(e, load(f + v * kWidth), early[0][v]);
                    early[1][v] = fma(e, load(f + s.width + v * kWidth), early[1][v]);
                    late[0][v] = fma(e, load(f + 2 * s.width + v * kWidth), late[0][v]);
                }
            }
        for (int64_t word = 0; word < words; ++word)
            for (uint64_t live = mask[4 * word + 1]; live != 0;) {  // the right one
                const int64_t o = 64 * word + take_lowest(live);
                const Floats e = broadcast(g[o]);
                const float* f = filter + o * filter_floats;
                for (int v = 0; v < Vectors; ++v) {
                    early[1][v] = fma(e, load(f + v * kWidth), early[1][v]);
                    late[0][v] = fma(e, load(f + s.width + v * kWidth), late[0][v]);
                    late[1][v] = fma(e, load(f + 2 * s.width + v * kWidth), late[1][v]);
                }
            }
        add_columns(sums, s.pixel, early);
        for (int u = 0; u < 2; ++u)
            for (int v = 0; v < Vectors; ++v) {
                early[u][v] = late[u][v];
                late[u][v] = Floats{};
            }
    }
    add_columns(sums, s.pixel, early);
}

void sweep(const SparseSweep& s) {
    int64_t channel = 0;
    for (; channel + 2 * kWidth <= s.width; channel += 2 * kWidth) sweep_channels<2>(s, channel);
    if constexpr (kWidth == 16)
        if (channel < s.width) sweep_channels<1>(s, channel);
}

// The channels of up to 64 that the ReLU let through: those whose gate has no bit of 4.
MICROTOME_INLINE uint64_t live_channels(const uint8_t* gate, int64_t channels) {
    uint64_t mask = 0;
    int64_t c = 0;
#if defined(__AVX2__)
    for (; c + 32 <= channels; c += 32) {
        const __m256i bytes = _mm256_loadu_si256((const __m256i*)(gate + c));
        const int shut = _mm256_movemask_epi8(_mm256_slli_epi16(bytes, 5));  // to the sign's place
        mask |= uint64_t{~static_cast<unsigned>(shut)} << c;
    }
#endif
    for (; c < channels; ++c) mask |= uint64_t{gate[c] < 4} << c;
    return mask;
}

// The patch of one window: live channels in turn to two sums, so that neither waits for itself.
template <int Vectors>
MICROTOME_INLINE void patch_of(const SparsePatches& s, const float* g, const uint8_t* gate, float* patch) {
    constexpr int64_t floats = Vectors * kWidth;
    Floats even[Vectors], odd[Vectors];
    for (int v = 0; v < Vectors; ++v) even[v] = odd[v] = Floats{};
    for (int64_t first = 0; first < s.channels; first += 64) {
        const auto add = [&](int64_t o, Floats(&sum)[Vectors]) __attribute__((always_inline)) {
            const Floats e = broadcast(g[o]);
            const float* f = s.filters + (4 * o + gate[o]) * floats;
            for (int v = 0; v < Vectors; ++v) sum[v] = fma(e, load(f + v * kWidth), sum[v]);
        };
        uint64_t live = live_channels(gate + first, s.channels - first < 64 ? s.channels - first : 64);
        while (live != 0) {
            add(first + take_lowest(live), even);
            if (live == 0) break;
            add(first + take_lowest(live), odd);
        }
    }
    for (int v = 0; v < Vectors; ++v) store(patch + v * kWidth, even[v] + odd[v]);
}

template <int Lanes>
MICROTOME_INLINE void add_lanes(float* to, const float* from) {
    store_lanes<Lanes>(to, load_lanes<Lanes>(to) + load_lanes<Lanes>(from));
}
MICROTOME_INLINE void add_line(float* to, const float* from, int64_t n) {
    int64_t i = 0;
    if constexpr (kWidth >= 8)
        for (; i + 8 <= n; i += 8) add_lanes<8>(to + i, from + i);
    for (; i + 4 <= n; i += 4) add_lanes<4>(to + i, from + i);
    for (; i < n; ++i) to[i] = to[i] + from[i];
}

// Patches are added one window late: loads of what was stored just now, across the vectors it was stored by,
// would wait.
template <int Vectors>
void patches_of(const SparsePatches& s) {
    float patch[2][Vectors * kWidth];
    for (int64_t j = 0; j <= s.windows; ++j) {
        if (j < s.windows) patch_of<Vectors>(s, s.g + j * s.channels, s.gate + j * s.channels, patch[j % 2]);
        if (j == 0) continue;
        const float* last = patch[(j - 1) % 2];
        const int64_t at = (j - 1) * s.columns;
        if constexpr (Vectors * kWidth == 48)
            if (s.lines == 4 && s.line == 12) {  // 3x3 taps of colours, with nothing left to count
                for (int line = 0; line < 4; ++line) add_line(s.sums[line] + at, last + line * 12, 12);
                continue;
            }
        for (int64_t line = 0; line < s.lines; ++line)
            add_line(s.sums[line] + at, last + line * s.line, s.line);
    }
}

void patches(const SparsePatches& s) {
    static_assert(kSparsePatch == 48);
    const int64_t floats = (s.lines * s.line + 15) / 16 * 16;
    if (floats == 16) return patches_of<16 / kWidth>(s);
    if (floats == 32) return patches_of<32 / kWidth>(s);
    patches_of<48 / kWidth>(s);
}

}  // namespace

extern const SparseTable sparse_table = {masks, sweep, patches};

}  // namespace microtome::cpu::MICROTOME_ISA_NAME
