#include "autograd/ops/normalization.hpp"
#include "autograd/samples.hpp"
#include "autograd/tape.hpp"
#include "value_test_support.hpp"

using namespace microtome;
using namespace microtome::test;

namespace {

// The textbook's loops over x seen as `groups` of `size` numbers that are normalised together; element i of
// group j is at i * step + j * stride.
struct Layout {
    int64_t groups, size, step, stride;
};
struct Oracle {
    std::vector<double> normalized, mean, variance, deviation;

    Oracle(const std::vector<double>& x, Layout at, double eps) : normalized(x.size()) {
        for (int64_t j = 0; j < at.groups; ++j) {
            double sum = 0, squares = 0;
            for (int64_t i = 0; i < at.size; ++i) sum += x[i * at.step + j * at.stride];
            const double average = sum / static_cast<double>(at.size);
            for (int64_t i = 0; i < at.size; ++i) {
                const double d = x[i * at.step + j * at.stride] - average;
                squares += d * d;
            }
            mean.push_back(average);
            variance.push_back(squares / static_cast<double>(at.size));
            deviation.push_back(std::sqrt(variance.back() + eps));
            for (int64_t i = 0; i < at.size; ++i)
                normalized[i * at.step + j * at.stride] =
                    (x[i * at.step + j * at.stride] - average) / deviation.back();
        }
    }
};

// (h - mean(h) - x' mean(h x')) / sqrt(variance + eps)
std::vector<double> input_gradient(const Oracle& o, const std::vector<double>& h, Layout at) {
    std::vector<double> dx(h.size());
    for (int64_t j = 0; j < at.groups; ++j) {
        double a = 0, b = 0;
        for (int64_t i = 0; i < at.size; ++i) {
            const int64_t k = i * at.step + j * at.stride;
            a += h[k] / static_cast<double>(at.size);
            b += h[k] * o.normalized[k] / static_cast<double>(at.size);
        }
        for (int64_t i = 0; i < at.size; ++i) {
            const int64_t k = i * at.step + j * at.stride;
            dx[k] = (h[k] - a - o.normalized[k] * b) / o.deviation[j];
        }
    }
    return dx;
}

}  // namespace

TEST_CASE("batch norm and its gradient are the textbook's", "[normalization_ops]") {
    const Dtype dtype = GENERATE(Dtype::f64, Dtype::f32);
    const Shape shape = GENERATE(Shape{5, 3}, Shape{2, 3, 4, 5}, Shape{67, 17}, Shape{3, 40, 40, 1},
                                 Shape{1, 4}, Shape{2, 300}, Shape{5000, 2});
    CAPTURE(dtype, shape);
    const double tolerance = dtype == Dtype::f64 ? 1e-12 : 2e-5, eps = 1e-3;
    const int64_t c = shape[-1], rows = shape.elements() / c;
    const Layout at{c, rows, c, 1};
    const Tensor x = as(uniform(shape, -1, 3, 1), dtype), g = as(uniform(shape, -1, 1, 2), dtype),
                 gamma = as(uniform({c}, 0.5, 2, 3), dtype), beta = as(uniform({c}, -1, 1, 4), dtype);
    const Oracle oracle(values(x), at, eps);

    std::vector<double> expected = oracle.normalized, h = values(g), dgamma(c), dbeta(c);
    for (int64_t i = 0; i < shape.elements(); ++i) {
        const int64_t j = i % c;
        dgamma[j] += h[i] * expected[i];
        dbeta[j] += h[i];
        expected[i] = expected[i] * values(gamma)[j] + values(beta)[j];
        h[i] *= values(gamma)[j];
    }
    BatchNormResult result = batch_norm_train(x, gamma, beta, eps);
    require_close(result.mean, oracle.mean, tolerance);
    require_close(result.variance, oracle.variance, tolerance);
    require_close(result.y, expected, tolerance * 4);
    require_close(batch_norm_inference(x, gamma, beta, result.mean, result.variance, eps), expected,
                  tolerance * 4);

    const double wide = tolerance * std::sqrt(static_cast<double>(rows));
    BatchNormGradients d = batch_norm_gradient(g, x, gamma, result.mean, result.variance, eps);
    require_close(d.x, input_gradient(oracle, h, at), tolerance * 10);
    require_close(d.gamma, dgamma, wide);
    require_close(d.beta, dbeta, wide);

    Tape tape;
    tape.watch({x, gamma, beta});
    Tensors found = tape.vjp({batch_norm_train(x, gamma, beta, eps).y}, {g}, {x, gamma, beta});
    REQUIRE(identical(found[0], d.x));
    REQUIRE(identical(found[1], d.gamma));
    REQUIRE(identical(found[2], d.beta));
}

TEST_CASE("batch norm of one row is beta, and its gradient is 0", "[normalization_ops]") {
    const Tensor x = tensor({3, -7}, {1, 1, 1, 2}, Dtype::f32), gamma = tensor({2, 0.5}, Dtype::f32),
                 beta = tensor({1, -1}, Dtype::f32);
    Tape tape;
    tape.watch({x, gamma, beta});
    BatchNormResult result = batch_norm_train(x, gamma, beta, 1e-5);
    require_equal(result.mean, {3, -7});
    require_equal(result.variance, {0, 0});
    require_close(result.y, {1, -1}, 1e-4);
    Tensors d = tape.gradient(result.y, {x, gamma, beta});
    require_equal(d[0], {0, 0});
    require_equal(d[1], {0, 0});
    require_equal(d[2], {1, 1});
}

TEST_CASE("frozen batch norm saves one scale per channel for an attack", "[normalization_ops]") {
    const Tensor x = as(uniform({2, 4, 4, 3}), Dtype::f32), c = as(uniform({3}, 1, 2), Dtype::f32);
    Tape tape;
    tape.watch(x);
    Tensor y = batch_norm_inference(x, c, c, c, c, 1e-5);
    REQUIRE(tape.records().size() == 1);
    REQUIRE(kept_bytes(tape) == 3 * sizeof(float));
}

TEST_CASE("layer norm and its gradient are the textbook's", "[normalization_ops]") {
    const Dtype dtype = GENERATE(Dtype::f64, Dtype::f32);
    const Shape shape =
        GENERATE(Shape{5, 3}, Shape{2, 3, 40}, Shape{7, 1}, Shape{300}, Shape{1, 5000}, Shape{67, 17});
    CAPTURE(dtype, shape);
    const double tolerance = dtype == Dtype::f64 ? 1e-12 : 2e-5, eps = 1e-5;
    const int64_t c = shape[-1];
    const Layout at{shape.elements() / c, c, 1, c};
    const Tensor x = as(uniform(shape, -1, 3, 1), dtype), g = as(uniform(shape, -1, 1, 2), dtype),
                 gamma = as(uniform({c}, 0.5, 2, 3), dtype), beta = as(uniform({c}, -1, 1, 4), dtype);
    const Oracle oracle(values(x), at, eps);

    std::vector<double> expected = oracle.normalized, h = values(g), dgamma(c), dbeta(c);
    for (int64_t i = 0; i < shape.elements(); ++i) {
        const int64_t j = i % c;
        dgamma[j] += h[i] * expected[i];
        dbeta[j] += h[i];
        expected[i] = expected[i] * values(gamma)[j] + values(beta)[j];
        h[i] *= values(gamma)[j];
    }
    require_close(layer_norm(x, gamma, beta, eps), expected, tolerance * 4);
    Tape tape;
    tape.watch({x, gamma, beta});
    Tensors d = tape.vjp({layer_norm(x, gamma, beta, eps)}, {g}, {x, gamma, beta});
    if (c > 1)  // a row of one is 0 / sqrt(eps): rounding is all there is
        require_close(d[0], input_gradient(oracle, h, at), tolerance * 10);
    require_close(d[1], dgamma, tolerance * 10);
    require_close(d[2], dbeta, tolerance * 10);
}
