#include "autograd/ops/reductions.hpp"
#include "autograd/ops/softmax.hpp"
#include "autograd/tape.hpp"
#include "value_test_support.hpp"

using namespace microtome;
using namespace microtome::test;

TEST_CASE("max, min and where they lie", "[reduction_ops]") {
    const Tensor x = tensor({3, 1, 3, -1, -5, -5, 0, 7, kNan}, {3, 3});
    require_equal(max(x, 1), {3, -1, kNan});
    require_equal(min(x, 1), {1, -5, kNan});
    require_equal(argmax(x, 1), {0, 0, 2});
    require_equal(argmin(x, -1), {1, 1, 2});
    require_equal(max(x, 0), {3, 7, kNan});
    require_equal(argmax(x, 0), {0, 2, 2});
    REQUIRE(argmax(x, 0).dtype() == Dtype::i64);
    REQUIRE(max(x, 1, Axes::keep).shape() == Shape{3, 1});
    require_equal(max(tensor({2, 9, 4, 8}, {2, 2})), {9});
    require_equal(min(tensor({2, 9, 4, 8}, {2, 2})), {2});
    REQUIRE_THROWS_WITH(max(tensor({}, {0})), Catch::Contains("at least one element"));

    // Watched or not, the same bits.
    Tape tape;
    tape.watch(x);
    require_equal(max(x, 1), {3, -1, kNan});
    require_equal(min(x, 0), {-1, -5, kNan});
}

TEST_CASE("variance is biased and does not cancel", "[reduction_ops]") {
    require_equal(variance(tensor({1, 2, 3, 6})), {3.5});
    require_equal(variance(tensor({1e9 + 1, 1e9 + 3}, {2, 1}), {0}), {1});
    require_equal(variance(tensor({1, 5, 2, 2}, {2, 2}), {1}), {4, 0});
    REQUIRE_THROWS_AS(variance(tensor({}, {0})), ShapeError);
}

TEST_CASE("norms of samples", "[reduction_ops]") {
    const Tensor x = tensor({3, -4, 0, 0, 1, -1, 1, -1}, {2, 2, 2});
    require_equal(norm_l1(x), {7, 4});
    require_equal(norm_l2(x), {5, 2});
    require_equal(norm_linf(x), {4, 1});
    require_equal(norm_l2(tensor({-2, 0}, {2})), {2, 0});
    require_equal(norm_l2(tensor({}, {2, 0})), {0, 0});
    REQUIRE(norm_l1(tensor({}, {0, 3})).shape() == Shape{0});
    REQUIRE(norm_linf(tensor({}, {0, 3})).shape() == Shape{0});
    REQUIRE_THROWS_WITH(norm_l1(Tensor::scalar(1)), Catch::Contains("samples (N, ...)"));
}

TEST_CASE("the Euclidean norm keeps its digits where squares leave the range of the type",
          "[reduction_ops]") {
    // 3-4-5 triangles by powers of two: exact at any scale.
    for (int exponent : {-145, -80, -64, 0, 60, 64, 124}) {
        CAPTURE(exponent);
        const double scale = std::ldexp(1.0, exponent);
        require_close(norm_l2(tensor({3 * scale, -4 * scale, 3, 4}, {2, 2}, Dtype::f32)), {5 * scale, 5}, 0);
    }
    for (int exponent : {-1070, -600, 600, 1020}) {
        CAPTURE(exponent);
        const double scale = std::ldexp(1.0, exponent);
        REQUIRE(norm_l2(tensor({3 * scale, 4 * scale}, {1, 2})).item() == 5 * scale);
    }
    require_equal(norm_l2(tensor({1, kInfinity, 1, kNan, 0, 0}, {3, 2}, Dtype::f32)), {kInfinity, kNan, 0});

    // And its gradient is x / |x| there too.
    const Tensor x = tensor({3e-30, -4e-30}, {1, 2}, Dtype::f32);
    Tape tape;
    tape.watch(x);
    require_close(tape.gradient(norm_l2(x), x), {0.6, -0.8}, 1e-6);
}

TEST_CASE("softmax, its logarithm and logsumexp", "[reduction_ops]") {
    for (Dtype dtype : {Dtype::f32, Dtype::f64}) {
        const double tolerance = dtype == Dtype::f32 ? 1e-6 : 1e-14;
        const std::vector<double> logits{1, 2, 4, -3, 0.5, 0.5};
        std::vector<double> p, log_p, total;
        for (std::size_t row : {0, 3}) {
            double sum = 0;
            for (std::size_t i = row; i < row + 3; ++i) sum += std::exp(logits[i]);
            total.push_back(std::log(sum));
            for (std::size_t i = row; i < row + 3; ++i) p.push_back(std::exp(logits[i]) / sum);
            for (std::size_t i = row; i < row + 3; ++i) log_p.push_back(logits[i] - std::log(sum));
        }
        const Tensor x = tensor(logits, {2, 3}, dtype);
        require_close(softmax(x), p, tolerance);
        require_close(log_softmax(x), log_p, tolerance);
        require_close(logsumexp(x), total, tolerance);
        REQUIRE(logsumexp(x).shape() == Shape{2});
        // Logits that overflow by themselves, and one so low that it vanishes.
        const Tensor extreme = tensor({1e4, 1e4, -1e4, -3e4}, {2, 2}, dtype);
        require_close(softmax(extreme), {0.5, 0.5, 1, 0}, tolerance);
        require_close(log_softmax(extreme), {-std::log(2.0), -std::log(2.0), 0, -2e4}, 1e-3);
        require_close(logsumexp(extreme), {1e4 + std::log(2.0), -1e4}, tolerance);
        require_equal(softmax(tensor({5}, {1, 1}, dtype)), {1});
        // y (g - <g, y>)
        require_close(
            softmax_input_gradient(tensor({1, 2}, {1, 2}, dtype), tensor({0.25, 0.75}, {1, 2}, dtype)),
            {-0.1875, 0.1875}, tolerance);
    }
    REQUIRE_THROWS_WITH(softmax(tensor({}, {2, 0})), Catch::Contains("at least one element"));
}
