// The vector type of the instruction set this file is being compiled for, and the few operations on it that
// the language does not spell: fused multiply-add, load and store. Everything else is written with the
// compiler's vector extensions (a + b, a < b ? a : b), which need no header and read like scalar code.
//
// Included only by files in tensor/cpu/isa, each compiled once per set with MICROTOME_ISA_NAME given.
#pragma once

#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#define MICROTOME_INLINE static inline __attribute__((always_inline))

namespace microtome::cpu::MICROTOME_ISA_NAME {

#if defined(__AVX512F__)
constexpr int kWidth = 16;
#elif defined(__AVX2__)
constexpr int kWidth = 8;
#else
constexpr int kWidth = 4;  // the reference width: SSE2 or NEON, or whatever the compiler makes of it
#endif

typedef float Floats __attribute__((vector_size(kWidth * sizeof(float))));
typedef float UnalignedFloats __attribute__((vector_size(kWidth * sizeof(float)), aligned(4)));
typedef int Ints __attribute__((vector_size(kWidth * sizeof(int))));

MICROTOME_INLINE Floats load(const float* p) {
    return *reinterpret_cast<const UnalignedFloats*>(p);
}
MICROTOME_INLINE void store(float* p, Floats v) {
    *reinterpret_cast<UnalignedFloats*>(p) = v;
}
MICROTOME_INLINE Floats broadcast(float x) {
    return x - Floats{};
}

// a * b + c with one rounding, on every set: the reference width asks the C library, element by element.
MICROTOME_INLINE Floats fma(Floats a, Floats b, Floats c) {
#if defined(__AVX512F__)
    return (Floats)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__AVX2__)
    return (Floats)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(__aarch64__)
    return (Floats)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
    for (int i = 0; i < kWidth; ++i) c[i] = __builtin_fmaf(a[i], b[i], c[i]);
    return c;
#endif
}

}  // namespace microtome::cpu::MICROTOME_ISA_NAME
