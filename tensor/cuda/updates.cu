// The steps of optimizers and attacks: the formulas of tensor/updates.hpp, one thread an element, in place.
//
// Least work: each array is read once, and those that change are written once: Adam 28 bytes a weight in f32,
// a PGD step 16 bytes a pixel. All of it is bound by memory. Not measured on a GPU yet.
#include "tensor/cuda/lane_reduce.hpp"

namespace microtome::cuda::MICROTOME_CUDA_NAME {
namespace {

template <class Formula, class... Arrays>
MICROTOME_KERNEL void update_kernel(Formula formula, int64_t n, Arrays... arrays) {
    for (int64_t i = first_element(); i < n; i += all_threads()) formula(arrays[i]...);
}
template <class Formula, class... Arrays>
void update(Stream stream, const Formula& formula, int64_t n, Arrays... arrays) {
    launch(stream, flat(n), update_kernel<Formula, Arrays...>, formula, n, arrays...);
}

// The same, where nothing went wrong.
template <class Formula, class... Arrays>
MICROTOME_KERNEL void weights_kernel(Formula formula, const double* trouble, int64_t n, Arrays... arrays) {
    if (trouble != nullptr && *trouble != 0) return;
    for (int64_t i = first_element(); i < n; i += all_threads()) formula(arrays[i]...);
}
template <class Formula, class... Arrays>
void move_weights(Stream stream, const Formula& formula, const double* trouble, int64_t n, Arrays... arrays) {
    launch(stream, flat(n), weights_kernel<Formula, Arrays...>, formula, trouble, n, arrays...);
}

// The formulas whose last argument is an image and which return its new value.
template <class Formula, class T>
struct InPlace {
    Formula formula;
    MICROTOME_HD void operator()(T x0, T& x) const { x = formula(x, x0); }
};

template <class T>
void sgd(Stream stream, const updates::Sgd<T>& formula, const double* trouble, const T* g, T* p, int64_t n) {
    move_weights(stream, formula, trouble, n, g, p);
}
template <class T>
void sgd_momentum(Stream stream, const updates::SgdMomentum<T>& formula, const double* trouble, const T* g,
                  T* p, T* v, int64_t n) {
    move_weights(stream, formula, trouble, n, g, p, v);
}
template <class T>
void sgd_velocity(Stream stream, const updates::SgdVelocity<T>& formula, const double* trouble, const T* g,
                  T* p, T* v, int64_t n) {
    move_weights(stream, formula, trouble, n, g, p, v);
}
template <class T>
void adam(Stream stream, const updates::Adam<T>& formula, const double* trouble, const T* g, T* p, T* m, T* v,
          int64_t n) {
    move_weights(stream, formula, trouble, n, g, p, m, v);
}
template <class T>
void moving_average(Stream stream, const updates::MovingAverage<T>& formula, const T* p, T* average,
                    int64_t n) {
    update(stream, formula, n, p, average);
}
template <class T>
void pgd_linf(Stream stream, const updates::PgdLinf<T>& formula, const T* g, const T* x0, T* x, int64_t n) {
    update(stream, formula, n, g, x0, x);
}
template <class T>
void clip_linf(Stream stream, const updates::ClipLinf<T>& formula, const T* x0, T* x, int64_t n) {
    update(stream, InPlace<updates::ClipLinf<T>, T>{formula}, n, x0, x);
}

// Sixteen threads an image: norms are a small part of a step, whose images are many.
template <class T>
MICROTOME_KERNEL void lengths_kernel(const T* x, const T* x0, int64_t images, int64_t size, double* y) {
    for (int64_t image = first_group(); image < images; image += all_groups()) {
        const int64_t at = image * size;
        const double squares = lanes_reduce<double>(reference::DoubleSumOfSquares{}, size, [&](int64_t i) {
            return x0 == nullptr ? x[at + i] : x[at + i] - x0[at + i];
        });
        if (lane() == 0) y[image] = math::sqrt(squares);
    }
}
template <class T>
MICROTOME_KERNEL void step_l2_kernel(double alpha, const double* lengths, const T* g, T* x, int64_t images,
                                     Divisor size) {
    for (int64_t i = first_element(); i < images * size.value; i += all_threads())
        x[i] = updates::step_l2<T>(alpha, lengths[size.quotient(i)])(g[i], x[i]);
}
template <class T>
MICROTOME_KERNEL void clip_l2_kernel(double epsilon, T low, T high, const double* lengths, const T* x0, T* x,
                                     int64_t images, Divisor size) {
    for (int64_t i = first_element(); i < images * size.value; i += all_threads())
        x[i] = updates::clip_l2(epsilon, lengths[size.quotient(i)], low, high)(x[i], x0[i]);
}

template <class T>
void lengths(Stream stream, const T* x, const T* x0, int64_t images, int64_t size, double* y) {
    launch(stream, lanes_for(images), lengths_kernel<T>, x, x0, images, size, y);
}
template <class T>
void step_l2(Stream stream, double alpha, const double* lengths, const T* g, T* x, int64_t images,
             int64_t size) {
    launch(stream, flat(images * size), step_l2_kernel<T>, alpha, lengths, g, x, images, Divisor(size));
}
template <class T>
void clip_l2(Stream stream, double epsilon, T low, T high, const double* lengths, const T* x0, T* x,
             int64_t images, int64_t size) {
    launch(stream, flat(images * size), clip_l2_kernel<T>, epsilon, low, high, lengths, x0, x, images,
           Divisor(size));
}

template <class T>
void add_to(Kernels<T>& kernels) {
    kernels.sgd = sgd<T>;
    kernels.sgd_momentum = sgd_momentum<T>;
    kernels.sgd_velocity = sgd_velocity<T>;
    kernels.adam = adam<T>;
    kernels.moving_average = moving_average<T>;
    kernels.pgd_linf = pgd_linf<T>;
    kernels.clip_linf = clip_linf<T>;
    kernels.lengths = lengths<T>;
    kernels.step_l2 = step_l2<T>;
    kernels.clip_l2 = clip_l2<T>;
}

}  // namespace

void add_updates(KernelTable& table) {
    add_to(table.f32);
    add_to(table.f64);
}

}  // namespace microtome::cuda::MICROTOME_CUDA_NAME
