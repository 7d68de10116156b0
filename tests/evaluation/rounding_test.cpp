#include "evaluation/rounding.hpp"

#include "base/error.hpp"
#include "tests/nn/model_test_support.hpp"

#include <catch2/catch.hpp>
#include <cmath>

using namespace microtome;

namespace {

// Images on the 8-bit grid, and the same moved by epsilon times what `shift` draws in [-1, 1].
Tensor on_grid(const Shape& shape) {
    Tensor x = test::images(shape);
    for (float& value : x.mutable_data<float>()) value = std::rint(value * 255) / 255;
    return x;
}

Tensor shifted(const Tensor& x, double by) {
    Tensor result = x.clone();
    const Tensor noise = test::images(x.shape(), 9);
    std::span<float> y = result.mutable_data<float>();
    for (std::size_t k = 0; k < y.size(); ++k)
        y[k] = std::clamp(y[k] + static_cast<float>(by) * (2 * noise.data<float>()[k] - 1), 0.0f, 1.0f);
    return result;
}

}  // namespace

TEST_CASE("in 8 bits an image stays in its ball", "[evaluation][rounding]") {
    const Tensor x = on_grid({3, 9, 7, 3});
    for (double levels : {0.25, 0.5, 0.99, 1.0, 1.5, 7.65, 8.0}) {
        const Threat threat{.epsilon = levels / 255};
        const Tensor adversarial = shifted(x, threat.epsilon);
        const Tensor rounded = from_8_bits(round_to_8_bits(adversarial, x, threat));
        for (int64_t i = 0; i < 3; ++i) CHECK(distance_of(rounded, x, i, threat).excess <= kBoundTolerance);
        // It is the nearest level wherever that one is inside, and never the one after the next.
        for (std::size_t k = 0; k < rounded.data<float>().size(); ++k) {
            const float a = adversarial.data<float>()[k], r = rounded.data<float>()[k];
            const float nearest = std::rint(a * 255) / 255;
            if (std::abs(nearest - x.data<float>()[k]) <= threat.epsilon + 1e-6)
                CHECK(r == nearest);
            else
                CHECK(std::abs(r - a) * 255 < 1);
        }
        if (levels < 1) CHECK(identical(rounded, x));  // nothing else is inside
    }
}

TEST_CASE("in 8 bits an image stays in its L2 ball", "[evaluation][rounding]") {
    const Tensor x = on_grid({4, 9, 7, 3});
    for (double epsilon : {0.01, 0.03, 0.05, 0.5}) {
        const Threat threat{.norm = Norm::l2, .epsilon = epsilon};
        // Spread out, and at the border of the ball.
        Tensor adversarial = shifted(x, 1);
        for (int64_t i = 0; i < 4; ++i) {
            const auto shrink = static_cast<float>(epsilon / distance_of(adversarial, x, i, threat).l2);
            std::span<float> y = adversarial.mutable_data<float>();
            for (std::size_t k = static_cast<std::size_t>(i) * 189; k < static_cast<std::size_t>(i + 1) * 189;
                 ++k)
                y[k] = x.data<float>()[k] + shrink * (y[k] - x.data<float>()[k]);
        }
        const Tensor rounded = from_8_bits(round_to_8_bits(adversarial, x, threat));
        for (int64_t i = 0; i < 4; ++i) CHECK(distance_of(rounded, x, i, threat).excess <= kBoundTolerance);
        if (epsilon ==
            0.05) {  // most of the length is kept: rounding towards the original alone would lose it
            CHECK(distance_of(rounded, x, 0, threat).l2 > 0.9 * epsilon);
        }
    }
}

TEST_CASE("an original off the grid comes as near as levels allow", "[evaluation][rounding]") {
    const Tensor x = Tensor::full({1, 1, 1, 1}, 100.4 / 255), up = Tensor::full({1, 1, 1, 1}, 100.65 / 255);
    CHECK(round_to_8_bits(up, x, {.epsilon = 0.25 / 255}).data<uint8_t>()[0] == 100);
    CHECK(round_to_8_bits(up, x, {.epsilon = 0.7 / 255}).data<uint8_t>()[0] == 101);
    CHECK(round_to_8_bits(up, x, {.kind = Threat::Kind::noise}).data<uint8_t>()[0] == 101);
    CHECK(round_to_8_bits(up, x, {.kind = Threat::Kind::patch, .epsilon = .5 / 255}).data<uint8_t>()[0] ==
          100);
    CHECK(round_to_8_bits(Tensor::full({1, 1, 1, 1}, NAN), x, {.epsilon = 1}).data<uint8_t>()[0] == 100);
}

TEST_CASE("distances, and what lies outside", "[evaluation][rounding]") {
    const Tensor x = Tensor::of<float>({0, .5f, .5f, 1}, {1, 2, 2, 1});
    const Tensor y = Tensor::of<float>({.25f, .5f, .25f, 1.5f}, {1, 2, 2, 1});
    const Distance d = distance_of(y, x, 0, {.epsilon = 1});
    CHECK(d.linf == .5);
    CHECK(d.l2 == Approx(std::sqrt(.375)).epsilon(1e-12));
    CHECK(d.excess == .5);  // of the box
    CHECK(distance_of(x, x, 0, {.epsilon = 0}).excess == 0);
    const Tensor inside = Tensor::of<float>({.25f, .5f, .25f, 1}, {1, 2, 2, 1});
    CHECK(distance_of(inside, x, 0, {.epsilon = .125}).excess == .125);
    CHECK(distance_of(inside, x, 0, {.norm = Norm::l2, .epsilon = .25}).excess > .1);
    CHECK(distance_of(inside, x, 0, {.kind = Threat::Kind::noise, .epsilon = 0}).excess == 0);
    CHECK(distance_of(Tensor::full({1, 2, 2, 1}, NAN), x, 0, {.epsilon = 1}).excess == INFINITY);
    CHECK(distance_of(Tensor::full({1, 2, 2, 1}, -.5), x, 0, {.epsilon = 9}).excess == .5);
    CHECK_THROWS_AS(distance_of(x, Tensor::zeros({1, 2, 2, 2}), 0, {}), ShapeError);
    CHECK_THROWS_AS(round_to_8_bits(x, Tensor::zeros({1, 2, 2, 1}, Dtype::f64), {}), ShapeError);
}
