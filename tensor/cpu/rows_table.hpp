// The row kernels of one instruction set: rows of n elements, one after another. The formulas and the order
// of summation are those of tensor/reference/rows.hpp. y and dx may be any of the inputs of their shape.
#pragma once

#include <cstdint>

namespace microtome::cpu {

template <class T>
struct RowsTable {
    void (*softmax)(const T* x, T* y, int64_t rows, int64_t n);
    void (*log_softmax)(const T* x, T* y, int64_t rows, int64_t n);
    void (*logsumexp)(const T* x, T* y, int64_t rows, int64_t n);  // y: one per row
    void (*softmax_gradient)(const T* g, const T* y, T* dx, int64_t rows, int64_t n);
    void (*log_softmax_gradient)(const T* g, const T* y, T* dx, int64_t rows, int64_t n);
    // scale and shift (n) may be null; mean and rstd: one per row
    void (*layer_norm)(const T* x, const T* scale, const T* shift, T epsilon, T* y, T* mean, T* rstd,
                       int64_t rows, int64_t n);
    void (*layer_norm_gradient)(const T* g, const T* x, const T* mean, const T* rstd, const T* scale, T* dx,
                                int64_t rows, int64_t n);
};

// clang-format off
namespace reference { extern const RowsTable<float> rows_table; }
#if defined(__x86_64__)
namespace avx2 { extern const RowsTable<float> rows_table; }
namespace avx512 { extern const RowsTable<float> rows_table; }
#else  // one set, whichever name it is asked by
namespace avx2 = reference;
namespace avx512 = reference;
#endif
// clang-format on

}  // namespace microtome::cpu
