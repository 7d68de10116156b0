#include "tensor/kernels/updates.hpp"

#include "tensor/cpu/isa.hpp"
#include "tensor/cpu/updates_table.hpp"
#include "tensor/kernels/parallel.hpp"
#include "tensor/reference/reduce.hpp"
#include "tensor/reference/updates.hpp"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <limits>

namespace microtome::kernels {
namespace {

template <class T>
const cpu::UpdatesTable<T>& table();
template <>
const cpu::UpdatesTable<float>& table() {
    return cpu::pick(cpu::reference::updates_table, cpu::avx2::updates_table, cpu::avx512::updates_table);
}
template <>
const cpu::UpdatesTable<double>& table() {
    static constexpr cpu::UpdatesTable<double> textbook{
        reference::sgd<double>,       reference::sgd_momentum<double>,   reference::sgd_velocity<double>,
        reference::adam<double>,      reference::moving_average<double>, reference::pgd_linf<double>,
        reference::clip_linf<double>, reference::step_l2<double>,        reference::clip_l2<double>};
    return textbook;
}

// What is written must not be read as something else, or be written twice.
void require_apart(const char* where, const Tensor& a, const Tensor& b) {
    if (a.elements() == 0 || b.elements() == 0 || !a.shares_storage_with(b)) return;
    if (a.raw() < b.raw() + b.spec().bytes() && b.raw() < a.raw() + a.spec().bytes())
        throw OptionsError(
            where, str("expected tensors in memory of their own, got two ", a.spec(), " that overlap"),
            "clone() one of them");
}

void require_alike(const char* where, const Tensor& like, std::initializer_list<const Tensor*> others) {
    for (auto other = others.begin(); other != others.end(); ++other) {
        if (!((*other)->spec() == like.spec()))
            throw ShapeError(where, str("expected tensors of one shape and type, got ", like.spec(), " and ",
                                        (*other)->spec()));
        require_apart(where, like, **other);
        for (auto earlier = others.begin(); earlier != other; ++earlier)
            require_apart(where, **earlier, **other);
    }
}

// `text` says what was expected. Written so that NaN is refused.
void require(bool holds, const char* where, const char* text, double value) {
    if (!holds) throw OptionsError(where, str("expected ", text, ", got ", value));
}

void require_bounds(const char* where, const ImageBounds& bounds) {
    require(bounds.epsilon >= 0, where, "epsilon of 0 or more", bounds.epsilon);
    if (!(bounds.low <= bounds.high))
        throw OptionsError(where, str("expected low <= high, got ", bounds.low, " and ", bounds.high));
}

// Calls body(begin, count) for blocks of the elements, in parallel.
template <class Body>
void for_blocks(int64_t elements, const KernelContext& context, const Body& body) {
    constexpr int64_t kBlock = 4096;
    parallel_rows((elements + kBlock - 1) / kBlock, kBlock, context,
                  [&](int64_t block) { body(block * kBlock, std::min(kBlock, elements - block * kBlock)); });
}

// base^exponent by squaring: the same bits everywhere, unlike pow() of the C library.
double integer_power(double base, int64_t exponent) {
    double power = 1;
    for (; exponent > 0; exponent /= 2, base *= base)
        if (exponent % 2 == 1) power *= base;
    return power;
}

// The largest T that is not above x.
template <class T>
T rounded_down(double x) {
    T rounded = static_cast<T>(x);
    if (static_cast<double>(rounded) > x)
        rounded = std::nextafter(rounded, -std::numeric_limits<T>::infinity());
    return rounded;
}

// Sums of squares in double. The square of a float is exact there, so multiplying and adding is one rounding,
// as a fused multiply-add is.
struct SquareSum : reference::Sum {
    static double take(double partial, float x) {
        return partial + static_cast<double>(x) * static_cast<double>(x);
    }
    static double take(double partial, double x) { return std::fma(x, x, partial); }
};

template <class T>
double norm(const T* x, int64_t n) {
    return std::sqrt(reference::lane_reduce<double>(SquareSum{}, n, [=](int64_t i) { return x[i]; }));
}
template <class T>
double distance(const T* x, const T* x0, int64_t n) {
    return std::sqrt(reference::lane_reduce<double>(SquareSum{}, n, [=](int64_t i) { return x[i] - x0[i]; }));
}

template <class T>
void project_l2_image(const ImageBounds& bounds, const T* x0, T* x, int64_t n) {
    const double length = distance(x, x0, n);
    const updates::ClipL2<T> clip{length > bounds.epsilon ? rounded_down<T>(bounds.epsilon / length) : T(1),
                                  static_cast<T>(bounds.low), static_cast<T>(bounds.high)};
    table<T>().clip_l2(clip, x0, x, n);
}

int64_t image_size(const char* where, const Tensor& x) {
    if (x.rank() == 0) throw ShapeError(where, str("expected images (N, ...), got ", x.spec()));
    return x.size(0) == 0 ? 0 : x.elements() / x.size(0);
}

}  // namespace

void sgd_step(const SgdOptions& o, int64_t step, const Tensor& g, Tensor& p, Tensor* velocity,
              const KernelContext& context) {
    const char* where = "sgd_step";
    require_alike(where, p, {&g});
    require(o.momentum >= 0, where, "momentum of 0 or more", o.momentum);
    require(step >= 1, where, "a step of 1 or more", static_cast<double>(step));
    if (o.nesterov && !(o.momentum > 0 && o.dampening == 0))
        throw OptionsError(where, str("expected momentum and no dampening with nesterov, got momentum ",
                                      o.momentum, " and dampening ", o.dampening));
    if (o.momentum != 0 && velocity == nullptr)
        throw OptionsError(where, "expected a velocity with momentum");
    if (o.momentum != 0) require_alike(where, p, {velocity});
    const bool keras = o.convention == Convention::keras;
    visit_f32_f64(where, p.dtype(), [&]<class T>() {
        auto cast = [](double x) { return static_cast<T>(x); };
        const T* gradient = g.data<T>().data();
        T* weights = p.mutable_data<T>().data();
        const T l2 = keras ? T(0) : cast(o.weight_decay), shrink = keras ? cast(o.lr * o.weight_decay) : T(0);
        if (o.momentum == 0) {
            const updates::Sgd<T> formula{cast(o.lr), l2, shrink};
            for_blocks(p.elements(), context, [&](int64_t at, int64_t n) {
                table<T>().sgd(formula, gradient + at, weights + at, n);
            });
            return;
        }
        T* v = velocity->mutable_data<T>().data();
        if (keras) {
            const updates::SgdVelocity<T> formula{cast(o.lr), shrink, cast(o.momentum), o.nesterov};
            for_blocks(p.elements(), context, [&](int64_t at, int64_t n) {
                table<T>().sgd_velocity(formula, gradient + at, weights + at, v + at, n);
            });
            return;
        }
        const updates::SgdMomentum<T> formula{cast(o.lr),
                                              l2,
                                              cast(o.momentum),
                                              step == 1 ? T(0) : cast(o.momentum),
                                              step == 1 ? T(1) : cast(1 - o.dampening),
                                              o.nesterov};
        for_blocks(p.elements(), context, [&](int64_t at, int64_t n) {
            table<T>().sgd_momentum(formula, gradient + at, weights + at, v + at, n);
        });
    });
}

void adam_step(const AdamOptions& o, int64_t step, const Tensor& g, Tensor& p, Tensor& m, Tensor& v,
               const KernelContext& context) {
    const char* where = "adam_step";
    require_alike(where, p, {&g, &m, &v});
    require(step >= 1, where, "a step of 1 or more", static_cast<double>(step));
    require(o.beta1 >= 0 && o.beta1 < 1, where, "beta1 from 0 to below 1", o.beta1);
    require(o.beta2 >= 0 && o.beta2 < 1, where, "beta2 from 0 to below 1", o.beta2);
    require(o.eps >= 0, where, "eps of 0 or more", o.eps);
    const bool keras = o.convention == Convention::keras;
    const double correction1 = 1 - integer_power(o.beta1, step),
                 correction2 = std::sqrt(1 - integer_power(o.beta2, step));
    visit_f32_f64(where, p.dtype(), [&]<class T>() {
        auto cast = [](double x) { return static_cast<T>(x); };
        const bool decoupled = o.decoupled || keras;
        const updates::Adam<T> formula{
            cast(keras ? o.lr * correction2 / correction1 : o.lr / correction1),
            cast(keras ? 1 : 1 / correction2),
            cast(o.eps),
            decoupled ? T(0) : cast(o.weight_decay),
            decoupled ? cast(o.lr * o.weight_decay) : T(0),
            cast(1 - o.beta1),
            cast(1 - o.beta2),
        };
        const T* gradient = g.data<T>().data();
        T *weights = p.mutable_data<T>().data(), *first = m.mutable_data<T>().data(),
          *second = v.mutable_data<T>().data();
        for_blocks(p.elements(), context, [&](int64_t at, int64_t n) {
            table<T>().adam(formula, gradient + at, weights + at, first + at, second + at, n);
        });
    });
}

void adamw_step(AdamOptions options, int64_t step, const Tensor& g, Tensor& p, Tensor& m, Tensor& v,
                const KernelContext& context) {
    options.decoupled = true;
    adam_step(options, step, g, p, m, v, context);
}

void ema_step(double decay, const Tensor& p, Tensor& average, const KernelContext& context) {
    require_alike("ema_step", average, {&p});
    require(decay >= 0 && decay <= 1, "ema_step", "decay from 0 to 1", decay);
    visit_f32_f64("ema_step", p.dtype(), [&]<class T>() {
        const updates::MovingAverage<T> formula{static_cast<T>(1 - decay)};
        const T* weights = p.data<T>().data();
        T* averages = average.mutable_data<T>().data();
        for_blocks(p.elements(), context, [&](int64_t at, int64_t n) {
            table<T>().moving_average(formula, weights + at, averages + at, n);
        });
    });
}

void pgd_linf_step(double alpha, const ImageBounds& bounds, const Tensor& g, const Tensor& x0, Tensor& x,
                   const KernelContext& context) {
    require_alike("pgd_linf_step", x, {&g, &x0});
    require_bounds("pgd_linf_step", bounds);
    visit_f32_f64("pgd_linf_step", x.dtype(), [&]<class T>() {
        const updates::PgdLinf<T> formula{
            static_cast<T>(alpha),
            {rounded_down<T>(bounds.epsilon), static_cast<T>(bounds.low), static_cast<T>(bounds.high)}};
        const T *gradient = g.data<T>().data(), *start = x0.data<T>().data();
        T* image = x.mutable_data<T>().data();
        for_blocks(x.elements(), context, [&](int64_t at, int64_t n) {
            table<T>().pgd_linf(formula, gradient + at, start + at, image + at, n);
        });
    });
}

void project_linf(const ImageBounds& bounds, const Tensor& x0, Tensor& x, const KernelContext& context) {
    require_alike("project_linf", x, {&x0});
    require_bounds("project_linf", bounds);
    visit_f32_f64("project_linf", x.dtype(), [&]<class T>() {
        const updates::ClipLinf<T> formula{rounded_down<T>(bounds.epsilon), static_cast<T>(bounds.low),
                                           static_cast<T>(bounds.high)};
        const T* start = x0.data<T>().data();
        T* image = x.mutable_data<T>().data();
        for_blocks(x.elements(), context,
                   [&](int64_t at, int64_t n) { table<T>().clip_linf(formula, start + at, image + at, n); });
    });
}

void pgd_l2_step(double alpha, const ImageBounds& bounds, const Tensor& g, const Tensor& x0, Tensor& x,
                 const KernelContext& context) {
    require_alike("pgd_l2_step", x, {&g, &x0});
    require_bounds("pgd_l2_step", bounds);
    const int64_t size = image_size("pgd_l2_step", x);
    visit_f32_f64("pgd_l2_step", x.dtype(), [&]<class T>() {
        const T *gradient = g.data<T>().data(), *start = x0.data<T>().data();
        T* image = x.mutable_data<T>().data();
        parallel_rows(x.size(0), size, context, [&](int64_t n) {
            const int64_t at = n * size;
            const double length = norm(gradient + at, size);
            const updates::StepL2<T> formula{length == 0 ? T(0) : static_cast<T>(alpha / length)};
            table<T>().step_l2(formula, gradient + at, image + at, size);
            project_l2_image(bounds, start + at, image + at, size);
        });
    });
}

void project_l2(const ImageBounds& bounds, const Tensor& x0, Tensor& x, const KernelContext& context) {
    require_alike("project_l2", x, {&x0});
    require_bounds("project_l2", bounds);
    const int64_t size = image_size("project_l2", x);
    visit_f32_f64("project_l2", x.dtype(), [&]<class T>() {
        const T* start = x0.data<T>().data();
        T* image = x.mutable_data<T>().data();
        parallel_rows(x.size(0), size, context,
                      [&](int64_t n) { project_l2_image(bounds, start + n * size, image + n * size, size); });
    });
}

}  // namespace microtome::kernels
