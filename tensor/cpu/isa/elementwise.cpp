// Element-wise kernels in f32: plain loops over the scalar formulas, which the compiler vectorises.
#include "tensor/cpu/elementwise_table.hpp"
#include "tensor/cpu/isa/simd.hpp"

namespace microtome::cpu::MICROTOME_ISA_NAME {
namespace {

// y may be one of the inputs, but element i of y depends on elements i alone: hence ivdep.

void unary(kernels::Unary operation, const float* x, float* y, int64_t n) {
    kernels::visit(operation, [=](auto f) {
#pragma GCC ivdep
        for (int64_t i = 0; i < n; ++i) y[i] = f(x[i]);
    });
}

void binary(kernels::Binary operation, const float* a, const float* b, float* y, int64_t n) {
    kernels::visit(operation, [=](auto f) {
#pragma GCC ivdep
        for (int64_t i = 0; i < n; ++i) y[i] = f(a[i], b[i]);
    });
}

void ternary(kernels::Ternary operation, const float* a, const float* b, const float* c, float* y,
             int64_t n) {
    kernels::visit(operation, [=](auto f) {
#pragma GCC ivdep
        for (int64_t i = 0; i < n; ++i) y[i] = f(a[i], b[i], c[i]);
    });
}

// Eight elements make one byte of the gate. `stop` is high, or NaN, which stops nothing, for no limit.
MICROTOME_INLINE uint8_t gate_byte(const float* x, float low, float high, float stop, float* y,
                                   int64_t count) {
    unsigned bits = 0;
    for (int64_t j = 0; j < count; ++j) {
        float value = x[j];
        bits |= (value > low && !(value >= stop) ? 1u : 0u) << j;
        y[j] = functors::Clamp{}(value, low, high);
    }
    return static_cast<uint8_t>(bits);
}

void range_gate(const float* x, float low, float high, float* y, uint8_t* gate, int64_t n) {
    float stop = high == math::infinity<float>() ? math::not_a_number<float>() : high;
    int64_t i = 0;
#if defined(__AVX2__)
    typedef float Eight __attribute__((vector_size(32), aligned(4)));
    for (; i + 8 <= n; i += 8) {
        Eight value = *reinterpret_cast<const Eight*>(x + i);
        auto inside = (value > low) & ~(value >= stop);
        gate[i / 8] = static_cast<uint8_t>(_mm256_movemask_ps((__m256)inside));
        Eight raised = value <= low ? low - Eight{} : value;
        *reinterpret_cast<Eight*>(y + i) = raised >= high ? high - Eight{} : raised;
    }
#endif
    for (; i < n; i += 8) gate[i / 8] = gate_byte(x + i, low, high, stop, y + i, n - i < 8 ? n - i : 8);
}

void apply_gate(const float* g, const uint8_t* gate, float* dx, int64_t n) {
    typedef float Eight __attribute__((vector_size(32), aligned(4)));
    typedef int EightInts __attribute__((vector_size(32)));
    constexpr EightInts kBits{1, 2, 4, 8, 16, 32, 64, 128};
    int64_t i = 0;
#if defined(__AVX512F__)
    for (; i + 16 <= n; i += 16) {
        const __mmask16 bits = static_cast<__mmask16>(gate[i / 8] | gate[i / 8 + 1] << 8);
        _mm512_storeu_ps(dx + i, _mm512_maskz_loadu_ps(bits, g + i));
    }
#elif defined(__AVX2__)
    const __m256i bit = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    for (; i + 8 <= n; i += 8) {
        const __m256i open = _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32(gate[i / 8]), bit), bit);
        _mm256_storeu_ps(dx + i, _mm256_and_ps(_mm256_loadu_ps(g + i), _mm256_castsi256_ps(open)));
    }
#endif
    for (; i + 8 <= n; i += 8) {
        const auto open = ((gate[i / 8] - EightInts{}) & kBits) != 0;
        *reinterpret_cast<Eight*>(dx + i) = open ? *reinterpret_cast<const Eight*>(g + i) : Eight{};
    }
    for (; i < n; ++i) dx[i] = (gate[i / 8] >> (i % 8) & 1) != 0 ? g[i] : 0.0f;
}

}  // namespace

extern const ElementwiseTable<float> elementwise_table{unary, binary, ternary, range_gate, apply_gate};

}  // namespace microtome::cpu::MICROTOME_ISA_NAME
