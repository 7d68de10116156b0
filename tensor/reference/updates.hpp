// The loops over the formulas of tensor/updates.hpp, for any scalar: cpu::UpdatesTable's entries.
#pragma once

#include "tensor/updates.hpp"

namespace microtome::reference {

template <class T>
MICROTOME_HD void sgd(const updates::Sgd<T>& formula, const T* g, T* p, int64_t n) {
    const updates::Sgd<T> f = formula;
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) f(g[i], p[i]);
}

template <class T>
MICROTOME_HD void sgd_momentum(const updates::SgdMomentum<T>& formula, const T* g, T* p, T* v, int64_t n) {
    const updates::SgdMomentum<T> f = formula;
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) f(g[i], p[i], v[i]);
}

template <class T>
MICROTOME_HD void sgd_velocity(const updates::SgdVelocity<T>& formula, const T* g, T* p, T* v, int64_t n) {
    const updates::SgdVelocity<T> f = formula;
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) f(g[i], p[i], v[i]);
}

template <class T>
MICROTOME_HD void adam(const updates::Adam<T>& formula, const T* g, T* p, T* m, T* v, int64_t n) {
    const updates::Adam<T> f = formula;
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) f(g[i], p[i], m[i], v[i]);
}

template <class T>
MICROTOME_HD void moving_average(const updates::MovingAverage<T>& formula, const T* p, T* average,
                                 int64_t n) {
    const updates::MovingAverage<T> f = formula;
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) f(p[i], average[i]);
}

template <class T>
MICROTOME_HD void pgd_linf(const updates::PgdLinf<T>& formula, const T* g, const T* x0, T* x, int64_t n) {
    const updates::PgdLinf<T> f = formula;
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) f(g[i], x0[i], x[i]);
}

template <class T>
MICROTOME_HD void clip_linf(const updates::ClipLinf<T>& formula, const T* x0, T* x, int64_t n) {
    const updates::ClipLinf<T> f = formula;
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) x[i] = f(x[i], x0[i]);
}

template <class T>
MICROTOME_HD void step_l2(const updates::StepL2<T>& formula, const T* g, T* x, int64_t n) {
    const updates::StepL2<T> f = formula;
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) x[i] = f(g[i], x[i]);
}

template <class T>
MICROTOME_HD void clip_l2(const updates::ClipL2<T>& formula, const T* x0, T* x, int64_t n) {
    const updates::ClipL2<T> f = formula;
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) x[i] = f(x[i], x0[i]);
}

}  // namespace microtome::reference
