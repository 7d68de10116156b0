#include "autograd/ops/losses.hpp"

#include "autograd/ops/arithmetic.hpp"
#include "autograd/ops/softmax.hpp"
#include "autograd/samples.hpp"
#include "autograd/tape.hpp"
#include "value_test_support.hpp"

using namespace microtome;
using namespace microtome::test;

namespace {

Tensor labels(std::initializer_list<int64_t> classes) {
    return Tensor::of(classes, {static_cast<int64_t>(classes.size())});
}

const Tensor logits = tensor({1, 2, 4, 0.5, 0.5, -3}, {2, 3});

}  // namespace

TEST_CASE("cross entropy with classes, distributions and smoothed labels", "[losses]") {
    const double first = std::log(std::exp(1.0) + std::exp(2.0) + std::exp(4.0)),
                 second = std::log(2 * std::exp(0.5) + std::exp(-3.0));
    require_close(cross_entropy(logits, labels({1, 0})), {first - 2, second - 0.5});
    require_close(cross_entropy(logits, one_hot(labels({1, 0}), 3, Dtype::f64)), {first - 2, second - 0.5});
    require_close(cross_entropy(logits, smooth_labels(labels({1, 0}), 3, 0.3, Dtype::f64)),
                  {first - 0.7 * 2 - 0.1 * 7, second - 0.7 * 0.5 - 0.1 * -2});
    require_close(smooth_labels(labels({1}), 4, 0.2), {0.05, 0.85, 0.05, 0.05}, 1e-7);
    require_equal(one_hot(labels({2, 0}), 3), {0, 0, 1, 1, 0, 0});

    // d/dz = softmax - one_hot
    Tape tape;
    tape.watch(logits);
    Tensor g = tape.gradient(cross_entropy(logits, labels({1, 0})), logits);
    require_close(g, values(softmax(logits) - one_hot(labels({1, 0}), 3, Dtype::f64)));

    REQUIRE_THROWS_WITH(cross_entropy(logits, labels({1, 3})), Catch::Contains("labels from 0 to 2, got 3"));
    REQUIRE_THROWS_WITH(cross_entropy(logits, labels({1})), Catch::Contains("labels i64(2)"));
    REQUIRE_THROWS_WITH(cross_entropy(logits, tensor({1, 2})), Catch::Contains("expected targets f64(2,3)"));
    REQUIRE_THROWS_WITH(one_hot(labels({-1}), 3), Catch::Contains("labels from 0 to 2, got -1"));
    REQUIRE_THROWS_WITH(smooth_labels(labels({1}), 3, 1.5), Catch::Contains("from 0 to 1"));
}

TEST_CASE("binary cross entropy", "[losses]") {
    const Tensor t = tensor({1, 0, 0.25, 0, 1, 1}, {2, 3});
    std::vector<double> expected(2);
    for (std::size_t i = 0; i < 6; ++i) {
        const double p = 1 / (1 + std::exp(-values(logits)[i]));
        expected[i / 3] -= values(t)[i] * std::log(p) + (1 - values(t)[i]) * std::log(1 - p);
    }
    require_close(binary_cross_entropy_with_logits(logits, t), expected);
    // Right and sure: e^-z, not 0. Wrong and sure: z, not infinity.
    require_close(binary_cross_entropy_with_logits(tensor({40, -1000}, {2, 1}, Dtype::f32),
                                                   tensor({1, 1}, {2, 1}, Dtype::f32)),
                  {0, 1000}, 1e-6);
    REQUIRE(
        binary_cross_entropy_with_logits(tensor({40}, {1, 1}, Dtype::f32), tensor({1}, {1, 1}, Dtype::f32))
            .item() > 4e-18);
    // d/dz = sigmoid - t
    Tape tape;
    tape.watch(logits);
    Tensor g = tape.gradient(binary_cross_entropy_with_logits(logits, t), logits);
    for (std::size_t i = 0; i < 6; ++i)
        CHECK(values(g)[i] == Approx(1 / (1 + std::exp(-values(logits)[i])) - values(t)[i]).margin(1e-14));
    REQUIRE_THROWS_WITH(binary_cross_entropy_with_logits(logits, tensor({1, 0})),
                        Catch::Contains("logits and targets of one shape"));
}

TEST_CASE("KL divergence", "[losses]") {
    const Tensor q = tensor({0, 0, 0, 1, -1, 2}, {2, 3});
    const std::vector<double> p = values(softmax(logits)), r = values(softmax(q));
    std::vector<double> expected(2);
    for (std::size_t i = 0; i < 6; ++i) expected[i / 3] += p[i] * std::log(p[i] / r[i]);
    require_close(kl_divergence(logits, q), expected);
    require_close(kl_divergence(logits, logits + 5.0), {0, 0});
    // By q: softmax(q) - softmax(p). By p, at q = p: 0.
    Tape tape;
    tape.watch({logits, q});
    Tensors g = tape.gradient(kl_divergence(logits, q), {logits, q});
    for (std::size_t i = 0; i < 6; ++i) {
        CHECK(values(g[1])[i] == Approx(r[i] - p[i]).margin(1e-14));
        CHECK(values(g[0])[i] == Approx(p[i] * (std::log(p[i] / r[i]) - expected[i / 3])).margin(1e-14));
    }
    REQUIRE_THROWS_WITH(kl_divergence(logits, tensor({1}, {1, 1})), Catch::Contains("logits of one shape"));
}

TEST_CASE("margin", "[losses]") {
    const Tensor z = tensor({1, 2, 4, 3, 3, -3}, {2, 3});
    require_equal(margin(z, labels({2, 0})), {2, 0});
    require_equal(margin(z, labels({0, 2})), {-3, -6});
    Tape tape;
    tape.watch(z);
    require_equal(tape.gradient(margin(z, labels({0, 2})), z), {1, 0, -1, -1, 0, 1});  // the first of equals
    REQUIRE_THROWS_WITH(margin(tensor({1}, {1, 1}), labels({0})), Catch::Contains("at least two classes"));
    REQUIRE_THROWS_WITH(margin(z, labels({0, 3})), Catch::Contains("labels from 0 to 2"));
}

TEST_CASE("mean squared error", "[losses]") {
    require_equal(mean_squared_error(tensor({1, 2, 3, 4}, {2, 2}), tensor({1, 0, 0, 0}, {2, 2})), {2, 12.5});
    require_equal(mean_squared_error(tensor({1, 2}), tensor({3, 2})), {4, 0});
    REQUIRE_THROWS_WITH(mean_squared_error(logits, tensor({1})), Catch::Contains("prediction and target"));
}

TEST_CASE("losses run on shapes alone", "[losses]") {
    const Tensor z = Tensor::abstract({{4, 3}, Dtype::f32, kCpu}),
                 y = Tensor::abstract({{4}, Dtype::i64, kCpu});
    for (auto loss : {cross_entropy, margin}) {
        Tape tape;
        tape.watch(z);
        REQUIRE(tape.gradient(loss(z, y), z).spec() == z.spec());
    }
}
