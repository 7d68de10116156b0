// The element-wise kernels of one instruction set. All arrays are contiguous, of n elements; y may be one of
// the inputs. The formulas are those of tensor/functors.hpp, the gates those of
// tensor/reference/elementwise.hpp.
#pragma once

#include "tensor/functors.hpp"

namespace microtome::cpu {

template <class T>
struct ElementwiseTable {
    void (*unary)(kernels::Unary, const T* x, T* y, int64_t n);
    void (*binary)(kernels::Binary, const T* a, const T* b, T* y, int64_t n);
    void (*ternary)(kernels::Ternary, const T* a, const T* b, const T* c, T* y, int64_t n);
    void (*range_gate)(const T* x, T low, T high, T* y, uint8_t* gate, int64_t n);
    void (*apply_gate)(const T* g, const uint8_t* gate, T* dx, int64_t n);
};

// clang-format off
namespace reference { extern const ElementwiseTable<float> elementwise_table; }
#if defined(__x86_64__)
namespace avx2 { extern const ElementwiseTable<float> elementwise_table; }
namespace avx512 { extern const ElementwiseTable<float> elementwise_table; }
#else  // one set, whichever name it is asked by
namespace avx2 = reference;
namespace avx512 = reference;
#endif
// clang-format on

}  // namespace microtome::cpu
