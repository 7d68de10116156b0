// The update kernels of one instruction set: the formulas of tensor/updates.hpp over n contiguous elements.
// What is written may not overlap what is read.
#pragma once

#include "tensor/updates.hpp"

namespace microtome::cpu {

template <class T>
struct UpdatesTable {
    void (*sgd)(const updates::Sgd<T>&, const T* g, T* p, int64_t n);
    void (*sgd_momentum)(const updates::SgdMomentum<T>&, const T* g, T* p, T* v, int64_t n);
    void (*sgd_velocity)(const updates::SgdVelocity<T>&, const T* g, T* p, T* v, int64_t n);
    void (*adam)(const updates::Adam<T>&, const T* g, T* p, T* m, T* v, int64_t n);
    void (*moving_average)(const updates::MovingAverage<T>&, const T* p, T* average, int64_t n);
    void (*pgd_linf)(const updates::PgdLinf<T>&, const T* g, const T* x0, T* x, int64_t n);
    void (*clip_linf)(const updates::ClipLinf<T>&, const T* x0, T* x, int64_t n);
    void (*step_l2)(const updates::StepL2<T>&, const T* g, T* x, int64_t n);
    void (*clip_l2)(const updates::ClipL2<T>&, const T* x0, T* x, int64_t n);
};

// clang-format off
namespace reference { extern const UpdatesTable<float> updates_table; }
#if defined(__x86_64__)
namespace avx2 { extern const UpdatesTable<float> updates_table; }
namespace avx512 { extern const UpdatesTable<float> updates_table; }
#else  // one set, whichever name it is asked by
namespace avx2 = reference;
namespace avx512 = reference;
#endif
// clang-format on

}  // namespace microtome::cpu
