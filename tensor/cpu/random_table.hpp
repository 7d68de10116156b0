// The random number kernels of one instruction set.
#pragma once

#include "tensor/philox.hpp"

namespace microtome::cpu {

struct RandomTable {
    // y[0] to y[n - 1] are elements 4 * block and following of the stream; n is a multiple of 4 unless the
    // stream ends there. Uniform numbers are in [0, 1).
    void (*uniform)(random::StreamKey, uint32_t restart, uint32_t step, uint64_t block, float* y, int64_t n);
    void (*normal)(random::StreamKey, uint32_t restart, uint32_t step, uint64_t block, float* y, int64_t n);
    void (*signs)(random::StreamKey, uint32_t restart, uint32_t step, uint64_t block, float* y, int64_t n);
};

// clang-format off
namespace reference { extern const RandomTable random_table; }
#if defined(__x86_64__)
namespace avx2 { extern const RandomTable random_table; }
namespace avx512 { extern const RandomTable random_table; }
#else  // one set, whichever name it is asked by
namespace avx2 = reference;
namespace avx512 = reference;
#endif
// clang-format on

}  // namespace microtome::cpu
