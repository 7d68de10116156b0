// Shapes of tiles, and vectors of any width up to the instruction set's own. For the product kernels only.
#pragma once

#include "tensor/cpu/isa/simd.hpp"

#include <cstdint>

namespace microtome::cpu::MICROTOME_ISA_NAME {
namespace {

// A tile of kPanelRows x kStripColumns sums stays in registers: 24 of 32 (AVX-512) or 12 of 16.
constexpr int kPanelRows = kWidth == 16 ? 12 : 6;
constexpr int kStripColumns = 2 * kWidth;

// How wide the strip is that holds the last `columns` columns.
MICROTOME_INLINE int64_t strip_width(int64_t columns) {
    int64_t width = kStripColumns;
    while (width > 4 && width / 2 >= columns) width /= 2;
    return width;
}

template <int Lanes>
struct Vector {
    typedef float Type __attribute__((vector_size(Lanes * sizeof(float))));
    typedef float Unaligned __attribute__((vector_size(Lanes * sizeof(float)), aligned(4)));
};

template <int Lanes>
MICROTOME_INLINE typename Vector<Lanes>::Type load_lanes(const float* p) {
    return *reinterpret_cast<const typename Vector<Lanes>::Unaligned*>(p);
}
template <int Lanes>
MICROTOME_INLINE void store_lanes(float* p, typename Vector<Lanes>::Type v) {
    *reinterpret_cast<typename Vector<Lanes>::Unaligned*>(p) = v;
}

template <int Lanes>
MICROTOME_INLINE typename Vector<Lanes>::Type fma_lanes(typename Vector<Lanes>::Type a,
                                                        typename Vector<Lanes>::Type b,
                                                        typename Vector<Lanes>::Type c) {
#if defined(__AVX512F__)
    if constexpr (Lanes == 16)
        return typename Vector<Lanes>::Type(_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c));
#endif
#if defined(__AVX2__)
    if constexpr (Lanes == 8)
        return typename Vector<Lanes>::Type(_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c));
    if constexpr (Lanes == 4)
        return typename Vector<Lanes>::Type(_mm_fmadd_ps((__m128)a, (__m128)b, (__m128)c));
#elif defined(__aarch64__)
    if constexpr (Lanes == 4)
        return typename Vector<Lanes>::Type(vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b));
#endif
    for (int i = 0; i < Lanes; ++i) c[i] = __builtin_fmaf(a[i], b[i], c[i]);
    return c;
}

// Four runs of four floats become four columns.
MICROTOME_INLINE void transpose_4x4(const float* from, int64_t stride, float* to, int64_t to_stride) {
    using V = typename Vector<4>::Type;
    const V a = load_lanes<4>(from), b = load_lanes<4>(from + stride);
    const V c = load_lanes<4>(from + 2 * stride), d = load_lanes<4>(from + 3 * stride);
    const V ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5),
            ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
    const V cd_low = __builtin_shufflevector(c, d, 0, 4, 1, 5),
            cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    store_lanes<4>(to, __builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5));
    store_lanes<4>(to + to_stride, __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7));
    store_lanes<4>(to + 2 * to_stride, __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5));
    store_lanes<4>(to + 3 * to_stride, __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7));
}

}  // namespace
}  // namespace microtome::cpu::MICROTOME_ISA_NAME
