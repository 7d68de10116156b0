// Products in f64, a tile of 8 x 16 at a time, in as many registers as there are.
#include "tensor/cpu/double_product_table.hpp"
#include "tensor/cpu/isa/simd.hpp"

namespace microtome::cpu::MICROTOME_ISA_NAME {
namespace {

constexpr int kLanes = kWidth / 2;
typedef double Doubles __attribute__((vector_size(kLanes * sizeof(double))));
typedef double UnalignedDoubles __attribute__((vector_size(kLanes * sizeof(double)), aligned(8)));

MICROTOME_INLINE Doubles load_doubles(const double* p) {
    return *reinterpret_cast<const UnalignedDoubles*>(p);
}
MICROTOME_INLINE void store(double* p, Doubles v) {
    *reinterpret_cast<UnalignedDoubles*>(p) = v;
}
MICROTOME_INLINE Doubles fma(Doubles a, Doubles b, Doubles c) {
#if defined(__AVX512F__)
    return (Doubles)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#elif defined(__AVX2__)
    return (Doubles)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#else
    for (int i = 0; i < kLanes; ++i) c[i] = __builtin_fma(a[i], b[i], c[i]);
    return c;
#endif
}

// Sums that stay in registers while k runs: 16, 8 and 8 of them.
constexpr int kVectors = 2;
constexpr int kHeight = kLanes == 8 ? 8 : 4;

MICROTOME_INLINE void part(int64_t k, const double* a, const double* b, double* c, bool add) {
    Doubles sum[kHeight][kVectors] = {};
    for (int64_t i = 0; i < k; ++i, a += kDoubleRows, b += kDoubleColumns) {
        Doubles right[kVectors];
        for (int v = 0; v < kVectors; ++v) right[v] = load_doubles(b + v * kLanes);
        for (int r = 0; r < kHeight; ++r) {
            const Doubles left = a[r] - Doubles{};
            for (int v = 0; v < kVectors; ++v) sum[r][v] = fma(left, right[v], sum[r][v]);
        }
    }
    for (int r = 0; r < kHeight; ++r)
        for (int v = 0; v < kVectors; ++v) {
            double* to = c + r * kDoubleColumns + v * kLanes;
            store(to, add ? load_doubles(to) + sum[r][v] : sum[r][v]);
        }
}

void tile(int64_t k, const double* a, const double* b, double* c, bool add) {
    for (int r = 0; r < kDoubleRows; r += kHeight)
        for (int j = 0; j < kDoubleColumns; j += kVectors * kLanes)
            part(k, a + r, b + j, c + r * kDoubleColumns + j, add);
}

}  // namespace

extern const DoubleProductTable double_product_table{tile};

}  // namespace microtome::cpu::MICROTOME_ISA_NAME
