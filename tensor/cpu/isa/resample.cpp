// Resampling in f32: the plain loop, which the compiler vectorises.
#include "tensor/reference/resample.hpp"

#include "tensor/cpu/resample_table.hpp"

namespace microtome::cpu::MICROTOME_ISA_NAME {
namespace {

void rows(int64_t count, const int64_t* start, const int64_t* column, const float* weight, const float* x,
          int64_t inner, float* y) {
    microtome::reference::resample_rows(count, start, column, weight, x, inner, y);
}

}  // namespace

extern const ResampleTable<float> resample_table{rows};

}  // namespace microtome::cpu::MICROTOME_ISA_NAME
