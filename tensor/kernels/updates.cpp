#include "tensor/kernels/updates.hpp"

#include "tensor/cpu/isa.hpp"
#include "tensor/cpu/updates_table.hpp"
#include "tensor/cuda/backend.hpp"
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

template <class T>
double norm(const T* x, int64_t n) {
    return std::sqrt(
        reference::lane_reduce<double>(reference::DoubleSumOfSquares{}, n, [=](int64_t i) { return x[i]; }));
}
template <class T>
double distance(const T* x, const T* x0, int64_t n) {
    return std::sqrt(reference::lane_reduce<double>(reference::DoubleSumOfSquares{}, n,
                                                    [=](int64_t i) { return x[i] - x0[i]; }));
}

template <class T>
const T* read(const Tensor& x) {
    return cuda::on_cuda(x) ? cuda::in<T>(x) : x.data<T>().data();
}
template <class T>
T* write(Tensor& x) {
    return cuda::on_cuda(x) ? cuda::out<T>(x) : x.mutable_data<T>().data();
}

// Runs a formula over the arrays' elements, as many as y's: an entry of the CPU's table or of the GPU's.
template <class T, class Formula, class... Arrays>
void update(const Tensor& y, const KernelContext& context, auto cpu::UpdatesTable<T>::*on_cpu,
            auto cuda::Kernels<T>::*on_gpu, const Formula& formula, Arrays... arrays) {
    if (cuda::on_cuda(y)) {
        const cuda::Queue queue = cuda::queue_of("update", y, {});
        if (y.elements() > 0)
            (queue.backend.kernels.of<T>().*on_gpu)(queue.stream, formula, arrays..., y.elements());
        return;
    }
    for_blocks(y.elements(), context,
               [&](int64_t at, int64_t n) { (table<T>().*on_cpu)(formula, (arrays + at)..., n); });
}

// The same for weights, which stay as they are where there is trouble.
template <class T, class Formula, class... Arrays>
void move_weights(const Tensor& p, const KernelContext& context, const Tensor& trouble,
                  auto cpu::UpdatesTable<T>::*on_cpu, auto cuda::Kernels<T>::*on_gpu, const Formula& formula,
                  Arrays... arrays) {
    if (trouble.defined() && !(trouble.spec() == Spec{{}, Dtype::f64, p.device()}))
        throw ShapeError("update", str("expected trouble as one f64 on ", p.device(), ", got ", trouble));
    if (cuda::on_cuda(p)) {
        const cuda::Queue queue = cuda::queue_of("update", p, {});
        if (p.elements() > 0)
            (queue.backend.kernels.of<T>().*on_gpu)(queue.stream, formula, cuda::in<double>(trouble),
                                                    arrays..., p.elements());
        return;
    }
    if (trouble.defined() && trouble.item() != 0) return;
    for_blocks(p.elements(), context,
               [&](int64_t at, int64_t n) { (table<T>().*on_cpu)(formula, (arrays + at)..., n); });
}

template <class T>
void project_l2_image(const ImageBounds& bounds, const T* x0, T* x, int64_t n) {
    table<T>().clip_l2(updates::clip_l2(bounds.epsilon, distance(x, x0, n), static_cast<T>(bounds.low),
                                        static_cast<T>(bounds.high)),
                       x0, x, n);
}

// body(Gpu<T>, one double for each image of x, on its device)
template <class Body>
void with_lengths(const char* where, const Tensor& x, std::initializer_list<const Tensor*> others,
                  const Body& body) {
    Tensor lengths(Spec{{x.size(0)}, Dtype::f64, x.device()});
    cuda::run(where, x, others, [&](auto gpu) { body(gpu, cuda::out<double>(lengths)); });
}

int64_t image_size(const char* where, const Tensor& x) {
    if (x.rank() == 0) throw ShapeError(where, str("expected images (N, ...), got ", x.spec()));
    return x.size(0) == 0 ? 0 : x.elements() / x.size(0);
}

}  // namespace

void sgd_step(const SgdOptions& o, int64_t step, const Tensor& g, Tensor& p, Tensor* velocity,
              const KernelContext& context, const Tensor& trouble) {
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
        const T* gradient = read<T>(g);
        T* weights = write<T>(p);
        const T l2 = keras ? T(0) : cast(o.weight_decay), shrink = keras ? cast(o.lr * o.weight_decay) : T(0);
        if (o.momentum == 0) {
            const updates::Sgd<T> formula{cast(o.lr), l2, shrink};
            return move_weights<T>(p, context, trouble, &cpu::UpdatesTable<T>::sgd, &cuda::Kernels<T>::sgd,
                                   formula, gradient, weights);
        }
        T* v = write<T>(*velocity);
        if (keras) {
            const updates::SgdVelocity<T> formula{cast(o.lr), shrink, cast(o.momentum), o.nesterov};
            return move_weights<T>(p, context, trouble, &cpu::UpdatesTable<T>::sgd_velocity,
                                   &cuda::Kernels<T>::sgd_velocity, formula, gradient, weights, v);
        }
        const updates::SgdMomentum<T> formula{cast(o.lr),
                                              l2,
                                              cast(o.momentum),
                                              step == 1 ? T(0) : cast(o.momentum),
                                              step == 1 ? T(1) : cast(1 - o.dampening),
                                              o.nesterov};
        move_weights<T>(p, context, trouble, &cpu::UpdatesTable<T>::sgd_momentum,
                        &cuda::Kernels<T>::sgd_momentum, formula, gradient, weights, v);
    });
}

void adam_step(const AdamOptions& o, int64_t step, const Tensor& g, Tensor& p, Tensor& m, Tensor& v,
               const KernelContext& context, const Tensor& trouble) {
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
        move_weights<T>(p, context, trouble, &cpu::UpdatesTable<T>::adam, &cuda::Kernels<T>::adam, formula,
                        read<T>(g), write<T>(p), write<T>(m), write<T>(v));
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
        update<T>(p, context, &cpu::UpdatesTable<T>::moving_average, &cuda::Kernels<T>::moving_average,
                  formula, read<T>(p), write<T>(average));
    });
}

void pgd_linf_step(double alpha, const ImageBounds& bounds, const Tensor& g, const Tensor& x0, Tensor& x,
                   const KernelContext& context) {
    require_alike("pgd_linf_step", x, {&g, &x0});
    require_bounds("pgd_linf_step", bounds);
    visit_f32_f64("pgd_linf_step", x.dtype(), [&]<class T>() {
        const updates::PgdLinf<T> formula{static_cast<T>(alpha),
                                          {updates::rounded_down<T>(bounds.epsilon),
                                           static_cast<T>(bounds.low), static_cast<T>(bounds.high)}};
        update<T>(x, context, &cpu::UpdatesTable<T>::pgd_linf, &cuda::Kernels<T>::pgd_linf, formula,
                  read<T>(g), read<T>(x0), write<T>(x));
    });
}

void project_linf(const ImageBounds& bounds, const Tensor& x0, Tensor& x, const KernelContext& context) {
    require_alike("project_linf", x, {&x0});
    require_bounds("project_linf", bounds);
    visit_f32_f64("project_linf", x.dtype(), [&]<class T>() {
        const updates::ClipLinf<T> formula{updates::rounded_down<T>(bounds.epsilon),
                                           static_cast<T>(bounds.low), static_cast<T>(bounds.high)};
        update<T>(x, context, &cpu::UpdatesTable<T>::clip_linf, &cuda::Kernels<T>::clip_linf, formula,
                  read<T>(x0), write<T>(x));
    });
}

void pgd_l2_step(double alpha, const ImageBounds& bounds, const Tensor& g, const Tensor& x0, Tensor& x,
                 const KernelContext& context) {
    require_alike("pgd_l2_step", x, {&g, &x0});
    require_bounds("pgd_l2_step", bounds);
    const int64_t size = image_size("pgd_l2_step", x);
    if (cuda::on_cuda(x))
        return with_lengths("pgd_l2_step", x, {&g, &x0}, [&](auto gpu, double* lengths) {
            gpu->lengths(gpu.stream, gpu.in(g), nullptr, x.size(0), size, lengths);
            gpu->step_l2(gpu.stream, alpha, lengths, gpu.in(g), gpu.out(x), x.size(0), size);
            gpu->lengths(gpu.stream, gpu.in(x), gpu.in(x0), x.size(0), size, lengths);
            gpu->clip_l2(gpu.stream, bounds.epsilon, gpu.number(bounds.low), gpu.number(bounds.high), lengths,
                         gpu.in(x0), gpu.out(x), x.size(0), size);
        });
    visit_f32_f64("pgd_l2_step", x.dtype(), [&]<class T>() {
        const T *gradient = g.data<T>().data(), *start = x0.data<T>().data();
        T* image = x.mutable_data<T>().data();
        parallel_rows(x.size(0), size, context, [&](int64_t n) {
            const int64_t at = n * size;
            const auto formula = updates::step_l2<T>(alpha, norm(gradient + at, size));
            table<T>().step_l2(formula, gradient + at, image + at, size);
            project_l2_image(bounds, start + at, image + at, size);
        });
    });
}

void project_l2(const ImageBounds& bounds, const Tensor& x0, Tensor& x, const KernelContext& context) {
    require_alike("project_l2", x, {&x0});
    require_bounds("project_l2", bounds);
    const int64_t size = image_size("project_l2", x);
    if (cuda::on_cuda(x))
        return with_lengths("project_l2", x, {&x0}, [&](auto gpu, double* lengths) {
            gpu->lengths(gpu.stream, gpu.in(x), gpu.in(x0), x.size(0), size, lengths);
            gpu->clip_l2(gpu.stream, bounds.epsilon, gpu.number(bounds.low), gpu.number(bounds.high), lengths,
                         gpu.in(x0), gpu.out(x), x.size(0), size);
        });
    visit_f32_f64("project_l2", x.dtype(), [&]<class T>() {
        const T* start = x0.data<T>().data();
        T* image = x.mutable_data<T>().data();
        parallel_rows(x.size(0), size, context,
                      [&](int64_t n) { project_l2_image(bounds, start + n * size, image + n * size, size); });
    });
}

}  // namespace microtome::kernels
