// The resampling kernel of one instruction set.
#pragma once

#include <cstdint>

namespace microtome::cpu {

template <class T>
struct ResampleTable {
    // For i < rows and j < inner: y[i * inner + j] = the sum over start[i] <= k < start[i + 1] of
    // weight[k] * x[column[k] * inner + j], in order of k, by fused multiply-adds from 0.
    void (*rows)(int64_t rows, const int64_t* start, const int64_t* column, const T* weight, const T* x,
                 int64_t inner, T* y);
};

// clang-format off
namespace reference { extern const ResampleTable<float> resample_table; }
#if defined(__x86_64__)
namespace avx2 { extern const ResampleTable<float> resample_table; }
namespace avx512 { extern const ResampleTable<float> resample_table; }
#else  // one set, whichever name it is asked by
namespace avx2 = reference;
namespace avx512 = reference;
#endif
// clang-format on

}  // namespace microtome::cpu
