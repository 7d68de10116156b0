#include "tensor/kernels/row_passes.hpp"

#include "tensor/kernels/elementwise.hpp"
#include "tensor/kernels/reduce.hpp"

namespace microtome::kernels {
namespace {

Tensor over_rows(Reduction reduction, const Tensor& x, const KernelContext& context) {
    Tensor y({x.shape().with(-1, 1), x.dtype(), x.device()});
    reduce(reduction, x, axis_mask(x.shape(), {-1}), y, context);
    return y;
}

Tensor row_mean(const Tensor& x, const KernelContext& context) {
    Tensor y = over_rows(Reduction::sum, x, context);
    binary(Binary::divide, y, Tensor::scalar(static_cast<double>(x.size(-1)), x.dtype()), y, context);
    return y;
}

// Each row's x' and sqrt(variance + eps).
struct Standardized {
    Tensor rows, deviation;
};
Standardized standardize(const Tensor& x, double eps, const KernelContext& context) {
    Tensor rows(x.spec()), squares(x.spec());
    binary(Binary::subtract, x, row_mean(x, context), rows, context);
    unary(Unary::square, rows, squares, context);
    Tensor deviation = row_mean(squares, context);
    binary(Binary::add, deviation, Tensor::scalar(eps, x.dtype()), deviation, context);
    unary(Unary::sqrt, deviation, deviation, context);
    binary(Binary::divide, rows, deviation, rows, context);
    return {rows, deviation};
}

}  // namespace

void softmax(const Tensor& x, Tensor& y, const KernelContext& context) {
    binary(Binary::subtract, x, over_rows(Reduction::max, x, context), y, context);
    unary(Unary::exp, y, y, context);
    binary(Binary::divide, y, over_rows(Reduction::sum, y, context), y, context);
}

void logsumexp(const Tensor& x, Tensor& y, const KernelContext& context) {
    Tensor largest = over_rows(Reduction::max, x, context), exponentials(x.spec());
    binary(Binary::subtract, x, largest, exponentials, context);
    unary(Unary::exp, exponentials, exponentials, context);
    Tensor total = over_rows(Reduction::sum, exponentials, context);
    unary(Unary::log, total, total, context);
    binary(Binary::add, total, largest, y, context);
}

void log_softmax(const Tensor& x, Tensor& y, const KernelContext& context) {
    Tensor normalizer({x.shape().with(-1, 1), x.dtype(), x.device()});
    logsumexp(x, normalizer, context);
    binary(Binary::subtract, x, normalizer, y, context);
}

void softmax_input_gradient(const Tensor& g, const Tensor& y, Tensor& dx, const KernelContext& context) {
    Tensor product(g.spec());
    binary(Binary::multiply, g, y, product, context);
    binary(Binary::subtract, g, over_rows(Reduction::sum, product, context), dx, context);
    binary(Binary::multiply, dx, y, dx, context);
}

void layer_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, double eps, Tensor& y,
                const KernelContext& context) {
    ternary(Ternary::multiply_add, standardize(x, eps, context).rows, gamma, beta, y, context);
}

void layer_norm_input_gradient(const Tensor& g, const Tensor& x, const Tensor& gamma, double eps, Tensor& dx,
                               const KernelContext& context) {
    auto [rows, deviation] = standardize(x, eps, context);
    Tensor h(x.spec()), product(x.spec());
    binary(Binary::multiply, g, gamma, h, context);
    binary(Binary::multiply, h, rows, product, context);
    binary(Binary::multiply, rows, row_mean(product, context), product, context);
    binary(Binary::subtract, h, product, dx, context);
    binary(Binary::subtract, dx, row_mean(h, context), dx, context);
    binary(Binary::divide, dx, deviation, dx, context);
}

}  // namespace microtome::kernels
