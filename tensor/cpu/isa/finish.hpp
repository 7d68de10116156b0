// What is made of complete sums while they are still in registers: bias, residual, ReLU, pooling, gates. For
// the files of tensor/cpu/isa only.
#pragma once

#include "tensor/cpu/isa/gates.hpp"

namespace microtome::cpu::MICROTOME_ISA_NAME {
namespace {

constexpr bool kPacksGates = kWidth >= 8;  // bits of whole bytes

// Bits of x > 0.
template <int Lanes>
MICROTOME_INLINE void store_bits([[maybe_unused]] uint8_t* p,
                                 [[maybe_unused]] typename Vector<Lanes>::Type x) {
#if defined(__AVX512F__)
    if constexpr (Lanes == 16) {
        const __mmask16 bits = _mm512_cmp_ps_mask((__m512)x, __m512{}, _CMP_GT_OQ);
        __builtin_memcpy(p, &bits, 2);
    }
#endif
#if defined(__AVX2__)
    if constexpr (Lanes == 8)
        *p = static_cast<uint8_t>(_mm256_movemask_ps(_mm256_cmp_ps((__m256)x, __m256{}, _CMP_GT_OQ)));
#endif
}

// Where a tile's results go.
struct Place {
    float* y[2];
    const float* residual[2];
    uint8_t* gate[2];
    const float* bias;
    int64_t step, gate_step;
    bool relu;
};

// Finishes and stores one vector of results for all positions; sum(line, position) are the sums.
template <int Lanes, int Positions, class Sum>
MICROTOME_INLINE void store_positions(const Place& to, int64_t column, const Sum& sum) {
    using V = typename Vector<Lanes>::Type;
    const V bias = to.bias == nullptr ? V{} : load_lanes<Lanes>(to.bias + column);
    for (int line = 0; line < 2; ++line)
        for (int p = 0; p < Positions; ++p) {
            V v = sum(line, p);
            const int64_t at = p * to.step + column;
            if (to.bias != nullptr) v = v + bias;
            if (to.residual[line] != nullptr) v = v + load_lanes<Lanes>(to.residual[line] + at);
            if (to.relu) v = relu(v);
            store_lanes<Lanes>(to.y[line] + at, v);
            if (to.gate[line] != nullptr) store_bits<Lanes>(to.gate[line] + p * to.gate_step + column / 8, v);
        }
}

// The same with pooling.
template <int Lanes, int Positions, class Sum>
MICROTOME_INLINE void store_windows(const Place& to, int64_t column, const Sum& sum) {
    using V = typename Vector<Lanes>::Type;
    const V bias = to.bias == nullptr ? V{} : load_lanes<Lanes>(to.bias + column);
    const auto z = [&](int line, int p) { return to.bias == nullptr ? sum(line, p) : sum(line, p) + bias; };
    for (int p = 0; p + 1 < Positions; p += 2) {
        typename IntVector<Lanes>::Type gate;
        const int64_t at = p / 2 * to.step + column;
        store_lanes<Lanes>(to.y[0] + at, largest(z(0, p), z(0, p + 1), z(1, p), z(1, p + 1), gate));
        if (to.gate[0] != nullptr) store_bytes<Lanes>(to.gate[0] + at, gate);
    }
}

template <int Lanes, int Positions, class Sum>
MICROTOME_INLINE void store_results(bool pool, const Place& to, int64_t column, const Sum& sum) {
    if (pool)
        store_windows<Lanes, Positions>(to, column, sum);
    else
        store_positions<Lanes, Positions>(to, column, sum);
}

}  // namespace
}  // namespace microtome::cpu::MICROTOME_ISA_NAME
