// Gates as vectors: a byte for each lane, and which pixel of a window won. For the files of tensor/cpu/isa
// only.
#pragma once

#include "tensor/cpu/isa/strips.hpp"
#include "tensor/cpu/pool_table.hpp"

namespace microtome::cpu::MICROTOME_ISA_NAME {
namespace {

template <int Lanes>
struct IntVector {
    typedef int Type __attribute__((vector_size(Lanes * sizeof(int))));
};

// The lowest byte of each lane. Spelled out, because compilers take the conversion apart lane by lane.
template <int Lanes>
MICROTOME_INLINE void store_bytes(uint8_t* p, typename IntVector<Lanes>::Type v) {
#if defined(__AVX512F__)
    if constexpr (Lanes == 16)
        return _mm_storeu_si128((__m128i*)p, _mm512_maskz_cvtepi32_epi8(0xffff, (__m512i)v));
#endif
#if defined(__AVX2__)
    if constexpr (Lanes == 8) {
        const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32((__m256i)v, (__m256i)v), 0x08);
        return _mm_storel_epi64((__m128i*)p, _mm_packus_epi16(_mm256_castsi256_si128(words), __m128i{}));
    }
#endif
    for (int i = 0; i < Lanes; ++i) p[i] = static_cast<uint8_t>(v[i]);
}

template <int Lanes>
MICROTOME_INLINE typename IntVector<Lanes>::Type load_bytes(const uint8_t* p) {
    typename IntVector<Lanes>::Type v;
#if defined(__AVX512F__)
    if constexpr (Lanes == 16)
        return (typename IntVector<Lanes>::Type)_mm512_maskz_cvtepu8_epi32(
            0xffff, _mm_loadu_si128((const __m128i*)p));
#endif
#if defined(__AVX2__)
    if constexpr (Lanes == 8)
        return (typename IntVector<Lanes>::Type)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i*)p));
#endif
    for (int i = 0; i < Lanes; ++i) v[i] = p[i];
    return v;
}

template <class V>
MICROTOME_INLINE V relu(V x) {
    return x <= 0.0f ? V{} : x;  // NaN stays NaN
}

// The largest of four, none below 0, and its gate: the first of equals; NaN, for which the gate is shut, if
// one of them is NaN. The ReLU may wait until the end, because it keeps the order of what it lets through.
template <class V, class Index>
MICROTOME_INLINE V largest(V a, V b, V c, V d, Index& gate) {
    V most = a;
    gate = Index{};
    const auto take = [&](V x, int index) __attribute__((always_inline)) {
        const auto wins = x > most;
        most = wins ? x : most;
        gate = wins ? Index{} + index : gate;
    };
    take(b, 1);
    take(c, 2);
    take(d, 3);
    most = relu(most);
    // A NaN wins over all others; but what the comparisons above made of one is of no use.
    most = a == a ? most : a;
    most = b == b ? most : b;
    most = c == c ? most : c;
    most = d == d ? most : d;
    gate = most > 0.0f ? gate : Index{} + int{kShut};
    return most;
}

}  // namespace
}  // namespace microtome::cpu::MICROTOME_ISA_NAME
