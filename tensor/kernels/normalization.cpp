#include "tensor/kernels/normalization.hpp"

#include "tensor/kernels/elementwise.hpp"
#include "tensor/kernels/reduce.hpp"
#include "tensor/kernels/rows.hpp"

#include <cmath>

namespace microtome::kernels {
namespace {

// x (..., C) as (R, C).
Tensor as_rows(const Tensor& x) {
    int64_t rows = 1;
    for (int axis = 0; axis < x.rank() - 1; ++axis) rows *= x.size(axis);
    return x.view({rows, x.size(-1)});
}

}  // namespace

void batch_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, double eps, Tensor& y, Tensor& mean,
                Tensor& variance, const KernelContext& context) {
    if (x.elements() == 0) return;  // no channels
    channel_statistics(x, mean, variance, context);
    Tensor scale(gamma.spec()), shift(gamma.spec());
    visit_floating("batch_norm", x.dtype(), [&]<class T>() {
        for (std::size_t c = 0; c < static_cast<std::size_t>(x.size(-1)); ++c) {
            T s = gamma.data<T>()[c] / math::sqrt(variance.data<T>()[c] + static_cast<T>(eps));
            scale.mutable_data<T>()[c] = s;
            shift.mutable_data<T>()[c] = math::fma(-mean.data<T>()[c], s, beta.data<T>()[c]);
        }
    });
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
    visit_floating("batch_norm_gradient", x.dtype(), [&]<class T>() {
        const T count = static_cast<T>(rows.size(0));
        for (std::size_t i = 0; i < static_cast<std::size_t>(rows.size(1)); ++i) {
            T r = T(1) / math::sqrt(variance.data<T>()[i] + static_cast<T>(eps));
            T& gamma_gradient = dgamma.mutable_data<T>()[i];
            gamma_gradient *= r;
            T scale = gamma.data<T>()[i] * r;
            a.mutable_data<T>()[i] = scale;
            b.mutable_data<T>()[i] = -scale * r * gamma_gradient / count;
            c.mutable_data<T>()[i] = -scale * dbeta.data<T>()[i] / count;
        }
    });
    ternary(Ternary::multiply_add, deviation, b, c, dx, context);
    ternary(Ternary::multiply_add, g, a, dx, dx, context);
}

}  // namespace microtome::kernels
