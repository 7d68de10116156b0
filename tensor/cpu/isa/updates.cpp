// Update kernels in f32: the plain loops, which the compiler vectorises.
#include "tensor/reference/updates.hpp"

#include "tensor/cpu/updates_table.hpp"

namespace microtome::cpu::MICROTOME_ISA_NAME {
namespace {

void sgd(const updates::Sgd<float>& f, const float* g, float* p, int64_t n) {
    microtome::reference::sgd(f, g, p, n);
}
void sgd_momentum(const updates::SgdMomentum<float>& f, const float* g, float* p, float* v, int64_t n) {
    microtome::reference::sgd_momentum(f, g, p, v, n);
}
void sgd_velocity(const updates::SgdVelocity<float>& f, const float* g, float* p, float* v, int64_t n) {
    microtome::reference::sgd_velocity(f, g, p, v, n);
}
void adam(const updates::Adam<float>& f, const float* g, float* p, float* m, float* v, int64_t n) {
    microtome::reference::adam(f, g, p, m, v, n);
}
void moving_average(const updates::MovingAverage<float>& f, const float* p, float* average, int64_t n) {
    microtome::reference::moving_average(f, p, average, n);
}
void pgd_linf(const updates::PgdLinf<float>& f, const float* g, const float* x0, float* x, int64_t n) {
    microtome::reference::pgd_linf(f, g, x0, x, n);
}
void clip_linf(const updates::ClipLinf<float>& f, const float* x0, float* x, int64_t n) {
    microtome::reference::clip_linf(f, x0, x, n);
}
void step_l2(const updates::StepL2<float>& f, const float* g, float* x, int64_t n) {
    microtome::reference::step_l2(f, g, x, n);
}
void clip_l2(const updates::ClipL2<float>& f, const float* x0, float* x, int64_t n) {
    microtome::reference::clip_l2(f, x0, x, n);
}

}  // namespace

extern const UpdatesTable<float> updates_table{sgd,      sgd_momentum, sgd_velocity, adam,   moving_average,
                                               pgd_linf, clip_linf,    step_l2,      clip_l2};

}  // namespace microtome::cpu::MICROTOME_ISA_NAME
