#include "attacks/losses.hpp"

#include "base/error.hpp"

#include <catch2/catch.hpp>
#include <cmath>

using namespace microtome;
using Catch::Contains;

namespace {

const Tensor kLogits = Tensor::of<float>({2, 1, -0.5f, 0.25f}, {1, 4});

Tensor label(int64_t y) {
    return Tensor::of<int64_t>({y}, {1});
}

double value(AttackLoss loss, const Tensor& logits, int64_t y, int64_t t = -1) {
    return loss_at(loss, logits, label(y), t < 0 ? Tensor() : label(t)).values.data<float>()[0];
}

}  // namespace

TEST_CASE("attack losses have the values of their formulas", "[attacks][losses]") {
    CHECK(value(AttackLoss::dlr, kLogits, 0) == Approx(-0.571429).epsilon(1e-5));
    CHECK(value(AttackLoss::dlr, kLogits, 1) == Approx(0.571429).epsilon(1e-5));
    CHECK(value(AttackLoss::dlr, kLogits, 0, 3) == Approx(-0.823529).epsilon(1e-5));
    CHECK(value(AttackLoss::margin, kLogits, 0) == -1);
    CHECK(value(AttackLoss::margin, kLogits, 2) == 2.5);
    CHECK(value(AttackLoss::margin, kLogits, 0, 3) == -1.75);
    // Negative logits: a floor at 0 would leave no gradient.
    CHECK(value(AttackLoss::margin, Tensor::of<float>({-1, -3}, {1, 2}), 0) == -2);
    const double p0 = 1 / (1 + std::exp(-1.0) + std::exp(-2.5) + std::exp(-1.75));
    CHECK(value(AttackLoss::cross_entropy, kLogits, 0) == Approx(-std::log(p0)));
    CHECK(value(AttackLoss::cross_entropy, kLogits, 1, 0) == Approx(std::log(p0)));
}

TEST_CASE("attack losses have the gradients of their values", "[attacks][losses]") {
    const float h = 1e-2f;
    for (AttackLoss loss : {AttackLoss::cross_entropy, AttackLoss::margin, AttackLoss::dlr})
        for (int64_t goal : {-1, 3}) {
            const Tensor gradient =
                loss_at(loss, kLogits, label(0), goal < 0 ? Tensor() : label(goal)).gradient;
            for (int c = 0; c < 4; ++c) {
                Tensor up = kLogits.clone(), down = kLogits.clone();
                up.mutable_data<float>()[c] += h, down.mutable_data<float>()[c] -= h;
                const double slope = (value(loss, up, 0, goal) - value(loss, down, 0, goal)) / (2.0 * h);
                CHECK(gradient.data<float>()[c] == Approx(slope).margin(2e-4));
            }
        }
}

TEST_CASE("DLR falls back to the margin where classes are few", "[attacks][losses]") {
    CHECK(loss_for(AttackLoss::dlr, 2, false) == AttackLoss::margin);
    CHECK(loss_for(AttackLoss::dlr, 3, false) == AttackLoss::dlr);
    CHECK(loss_for(AttackLoss::dlr, 3, true) == AttackLoss::margin);
    CHECK(loss_for(AttackLoss::dlr, 4, true) == AttackLoss::dlr);
    CHECK(loss_for(AttackLoss::cross_entropy, 2, true) == AttackLoss::cross_entropy);
    const Tensor two = Tensor::of<float>({1, 3}, {1, 2}), three = Tensor::of<float>({1, 3, 4}, {1, 3});
    CHECK(value(AttackLoss::dlr, two, 0) == 2);
    CHECK(value(AttackLoss::dlr, three, 0, 1) == -1);
    CHECK(value(AttackLoss::dlr, three, 0) == 1);  // (4 - 1) / (4 - 1)
    CHECK(loss_text(AttackLoss::dlr, false) == "dlr, or margin below 3 classes");
    CHECK(loss_text(AttackLoss::dlr, true) == "dlr, or margin below 4 classes");
}

TEST_CASE("equal logits give finite losses and gradients", "[attacks][losses]") {
    const Tensor flat = Tensor::zeros({2, 5}), labels = Tensor::of<int64_t>({0, 4}, {2});
    for (AttackLoss loss : {AttackLoss::cross_entropy, AttackLoss::margin, AttackLoss::dlr}) {
        const LossAtLogits at = loss_at(loss, flat, labels);
        for (float v : at.values.data<float>()) CHECK(std::isfinite(v));
        for (float v : at.gradient.data<float>()) CHECK(std::isfinite(v));
    }
}

TEST_CASE("losses by name", "[attacks][losses]") {
    for (const std::string& name : loss_names()) CHECK(loss_name(loss_by_name(name)) == name);
    CHECK_THROWS_WITH(loss_by_name("crossentropy"), Contains("did you mean cross-entropy?"));
}
