// The product kernel of one instruction set in f64: for checks, which would otherwise wait for the textbook's
// loops.
#pragma once

#include <cstdint>

namespace microtome::cpu {

inline constexpr int64_t kDoubleRows = 8, kDoubleColumns = 16;  // of a tile

struct DoubleProductTable {
    // c[r * 16 + j] = sum over i < k of a[i * 8 + r] * b[i * 16 + j], chained by fused multiply-adds from 0,
    // or that added to what c holds.
    void (*tile)(int64_t k, const double* a, const double* b, double* c, bool add);
};

// clang-format off
namespace reference { extern const DoubleProductTable double_product_table; }
#if defined(__x86_64__)
namespace avx2 { extern const DoubleProductTable double_product_table; }
namespace avx512 { extern const DoubleProductTable double_product_table; }
#else  // one set, whichever name it is asked by
namespace avx2 = reference;
namespace avx512 = reference;
#endif
// clang-format on

}  // namespace microtome::cpu
