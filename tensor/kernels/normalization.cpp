#include "tensor/kernels/normalization.hpp"

#include "tensor/batch_norm.hpp"
#include "tensor/cuda/backend.hpp"
#include "tensor/kernels/elementwise.hpp"
#include "tensor/kernels/reduce.hpp"
#include "tensor/kernels/rows.hpp"

namespace microtome::kernels {
namespace {

// x (..., C) as (R, C).
Tensor as_rows(const Tensor& x) {
    int64_t rows = 1;
    for (int axis = 0; axis < x.rank() - 1; ++axis) rows *= x.size(axis);
    return x.view({rows, x.size(-1)});
}

void scale_of_channels(const Tensor& gamma, const Tensor& beta, const Tensor& mean, const Tensor& variance,
                       double eps, Tensor& scale, Tensor& shift) {
    if (cuda::on_cuda(scale))
        return cuda::run("batch_norm", scale, {&gamma, &beta, &mean, &variance, &shift}, [&](auto gpu) {
            gpu->batch_norm_scale(gpu.stream, gpu.in(gamma), gpu.in(beta), gpu.in(mean), gpu.in(variance),
                                  gpu.number(eps), gpu.out(scale), gpu.out(shift), scale.elements());
        });
    visit_floating("batch_norm", scale.dtype(), [&]<class T>() {
        const auto g = gamma.data<T>(), b = beta.data<T>(), m = mean.data<T>(), v = variance.data<T>();
        const auto scales = scale.mutable_data<T>(), shifts = shift.mutable_data<T>();
        for (std::size_t i = 0; i < scales.size(); ++i) {
            const auto both = batch_norm_scale(g[i], b[i], m[i], v[i], static_cast<T>(eps));
            scales[i] = both.scale;
            shifts[i] = both.shift;
        }
    });
}

// dgamma comes as the sums of g (x - mean).
void gradient_of_channels(const Tensor& gamma, const Tensor& variance, double eps, const Tensor& dbeta,
                          int64_t rows, Tensor& dgamma, Tensor& a, Tensor& b, Tensor& c) {
    if (cuda::on_cuda(dgamma))
        return cuda::run("batch_norm_gradient", dgamma, {&gamma, &variance, &dbeta}, [&](auto gpu) {
            gpu->batch_norm_gradient(gpu.stream, gpu.in(gamma), gpu.in(variance), gpu.number(eps),
                                     gpu.in(dbeta), gpu.number(static_cast<double>(rows)), gpu.out(dgamma),
                                     gpu.out(a), gpu.out(b), gpu.out(c), dgamma.elements());
        });
    visit_floating("batch_norm_gradient", dgamma.dtype(), [&]<class T>() {
        const auto g = gamma.data<T>(), v = variance.data<T>(), beta = dbeta.data<T>();
        const auto sums = dgamma.mutable_data<T>(), as = a.mutable_data<T>(), bs = b.mutable_data<T>(),
                   cs = c.mutable_data<T>();
        for (std::size_t i = 0; i < sums.size(); ++i) {
            const auto all = microtome::batch_norm_gradient(g[i], v[i], static_cast<T>(eps), sums[i], beta[i],
                                                            static_cast<T>(rows));
            as[i] = all.a;
            bs[i] = all.b;
            cs[i] = all.c;
            sums[i] = all.dgamma;
        }
    });
}

}  // namespace

void batch_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, double eps, Tensor& y, Tensor& mean,
                Tensor& variance, const KernelContext& context) {
    if (x.elements() == 0) return;  // no channels
    channel_statistics(x, mean, variance, context);
    Tensor scale(gamma.spec()), shift(gamma.spec());
    scale_of_channels(gamma, beta, mean, variance, eps, scale, shift);
    scale_shift(x, scale, shift, y, context);
}

void batch_norm_gradient(const Tensor& g, const Tensor& x, const Tensor& gamma, const Tensor& mean,
                         const Tensor& variance, double eps, Tensor& dx, Tensor& dgamma, Tensor& dbeta,
                         const KernelContext& context) {
    const Tensor rows = as_rows(g);
    Tensor deviation(x.spec()), product(x.spec());
    binary(Binary::subtract, x, mean, deviation, context);
    binary(Binary::multiply, g, deviation, product, context);
    reduce(Reduction::sum, rows, AxisMask{1}, dbeta, context);
    reduce(Reduction::sum, as_rows(product), AxisMask{1}, dgamma, context);
    // dx = a g + b (x - mean) + c, with one a, b and c for each channel
    Tensor a(gamma.spec()), b(gamma.spec()), c(gamma.spec());
    gradient_of_channels(gamma, variance, eps, dbeta, rows.size(0), dgamma, a, b, c);
    ternary(Ternary::multiply_add, deviation, b, c, dx, context);
    ternary(Ternary::multiply_add, g, a, dx, dx, context);
}

}  // namespace microtome::kernels
