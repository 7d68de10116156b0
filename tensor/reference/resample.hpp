// cpu::ResampleTable's loop, for any scalar.
#pragma once

#include "tensor/dual_math.hpp"

namespace microtome::reference {

template <class T>
MICROTOME_HD void resample_rows(int64_t rows, const int64_t* start, const int64_t* column, const T* weight,
                                const T* x, int64_t inner, T* y) {
    for (int64_t i = 0; i < rows; ++i) {
        T* sum = y + i * inner;
        for (int64_t j = 0; j < inner; ++j) sum[j] = T(0);
        for (int64_t k = start[i]; k < start[i + 1]; ++k) {
            const T* source = x + column[k] * inner;
            const T w = weight[k];
#pragma GCC ivdep
            for (int64_t j = 0; j < inner; ++j) sum[j] = math::fma(w, source[j], sum[j]);
        }
    }
}

}  // namespace microtome::reference
