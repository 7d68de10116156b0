// The reduction kernels of one instruction set. Each reduces at most kReductionChunk elements per result, in
// the order of tensor/reference/reduce.hpp.
#pragma once

#include <cstdint>

namespace microtome::kernels {

enum class Reduction : uint8_t { sum, max, min, sum_of_squares, sum_of_absolutes };

constexpr int kReductionLanes = 16;
constexpr int64_t kReductionChunk = 4096;
constexpr int64_t kReductionColumns = 256;

}  // namespace microtome::kernels

namespace microtome::cpu {

template <class T>
struct ReduceTable {
    // y[i] = reduction of x[i * length] to x[i * length + length - 1], for i < count.
    void (*rows)(kernels::Reduction, const T* x, int64_t count, int64_t length, T* y);
    // y[c] = reduction over r < rows of x[r * stride + c], for c < columns <= kReductionColumns; the squares
    // are of x - center[c] where a center is given.
    void (*columns)(kernels::Reduction, const T* x, int64_t rows, int64_t stride, int64_t columns,
                    const T* center, T* y);
};

// clang-format off
namespace reference { extern const ReduceTable<float> reduce_table; }
#if defined(__x86_64__)
namespace avx2 { extern const ReduceTable<float> reduce_table; }
namespace avx512 { extern const ReduceTable<float> reduce_table; }
#else  // one set, whichever name it is asked by
namespace avx2 = reference;
namespace avx512 = reference;
#endif
// clang-format on

}  // namespace microtome::cpu
