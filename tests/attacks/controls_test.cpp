// Noise and the shuffled perturbation.
#include "attacks/noise.hpp"
#include "attacks/registry.hpp"
#include "attacks/shuffled.hpp"
#include "tests/attacks/attack_test_support.hpp"

#include <catch2/catch.hpp>

using namespace microtome;
using Catch::Contains;

namespace {

// Adds the same fixed change to every image.
class Fixed : public Attack {
  public:
    explicit Fixed(Tensor change) : change_(std::move(change)) {}
    std::string_view name() const override { return "fixed"; }
    AttackOptions options() const override { return {{"a", "b"}}; }
    Threat threat() const override { return {Threat::Kind::patch, Norm::linf, 0.25}; }
    Passes cost() const override { return {3, 2}; }
    Tensor run(Classifier&, const Batch& batch) const override {
        Tensor x = batch.images.clone();
        for (int64_t i = 0; i < x.elements(); ++i)
            x.mutable_data<float>()[i] += change_.data<float>()[i % change_.elements()];
        return x;
    }

  private:
    Tensor change_;
};

std::vector<float> sizes(const Tensor& a, const Tensor& b, int64_t image) {
    const int64_t size = a.elements() / a.size(0);
    std::vector<float> result;
    for (int64_t i = image * size; i < (image + 1) * size; ++i)
        result.push_back(std::abs(a.data<float>()[i] - b.data<float>()[i]));
    std::sort(result.begin(), result.end());
    return result;
}

}  // namespace

TEST_CASE("noise has the distribution it says", "[attacks]") {
    auto classifier = test::binary(std::vector<float>(8, 1.0f), 0);
    const int64_t n = 3000;
    const Batch batch{.images = Tensor::full({n, 1, 1, 8}, 0.5),
                      .targets = Tensor::of(std::vector<int64_t>(n, 0), {n})};
    const double epsilon = 0.1;
    for (bool gaussian : {false, true}) {
        const auto attack =
            make_attack(gaussian ? "gaussian-noise" : "uniform-noise", {{"epsilon", "0.1"}, {"seed", "2"}});
        const Tensor x = attack->run(classifier, batch);
        double mean = 0, square = 0;
        for (float v : x.data<float>()) {
            mean += (v - 0.5) / static_cast<double>(x.elements());
            square += (v - 0.5) * (v - 0.5) / static_cast<double>(x.elements());
        }
        CHECK(mean == Approx(0).margin(0.002));
        CHECK(std::sqrt(square) == Approx(gaussian ? epsilon : epsilon / std::sqrt(3.0)).epsilon(0.01));
        if (!gaussian) {
            CHECK(test::linf_distance(x, batch.images) <= epsilon);
            CHECK(test::linf_distance(x, batch.images) > 0.99 * epsilon);
        }
        CHECK(classifier.forward_passes() == 0);
        CHECK(attack->cost().forward == 0);
        CHECK(attack->threat().kind == (gaussian ? Threat::Kind::noise : Threat::Kind::ball));
    }
}

TEST_CASE("noise depends on seed and id alone, and stays in the box", "[attacks]") {
    auto classifier = test::binary(std::vector<float>(12, 1.0f), 0);
    Batch batch{.images = test::images({7, 1, 1, 12}),
                .targets = Tensor::of(std::vector<int64_t>(7, 0), {7}),
                .ids = {3, 1, 4, 15, 9, 2, 6}};
    for (const char* name : {"uniform-noise", "gaussian-noise"}) {
        const auto attack = make_attack(name, {{"epsilon", "0.4"}});
        const Tensor x = attack->run(classifier, batch);
        CHECK(test::in_box(x));
        for (int64_t i = 0; i < 7; ++i)
            CHECK(identical(attack->run(classifier, slice(batch, i, i + 1)), test::part(x, i, i + 1)));
        CHECK_FALSE(
            identical(make_attack(name, {{"epsilon", "0.4"}, {"seed", "1"}})->run(classifier, batch), x));
        CHECK(identical(make_attack(name, {{"epsilon", "0"}})->run(classifier, batch), batch.images));
        CHECK_THROWS_AS(make_attack(name, {{"epsilon", "8"}}), OptionsError);
    }
}

TEST_CASE("a shuffled perturbation keeps what changed and loses where", "[attacks]") {
    auto classifier = test::binary(std::vector<float>(48, 1.0f), 0);
    Tensor images = test::images({5, 4, 4, 3});
    for (float& v : images.mutable_data<float>()) v = std::round(v * 256) / 256;  // exact sums
    const Batch batch{.images = images, .targets = Tensor::of(std::vector<int64_t>(5, 0), {5})};
    Tensor change = Tensor::zeros({4, 4, 3});
    for (int64_t i = 0; i < 24; ++i)
        change.mutable_data<float>()[i] = static_cast<float>(i % 2 ? i : -i) / 256;

    const Shuffled attack(std::make_unique<Fixed>(change), 7);
    CHECK(attack.name() == "shuffled-fixed");
    CHECK(attack.options() == AttackOptions{{"a", "b"}, {"shuffle seed", "7"}});
    CHECK(attack.threat().kind == Threat::Kind::ball);
    CHECK(attack.cost().forward == 3);
    const Tensor attacked = Fixed(change).run(classifier, batch), x = attack.run(classifier, batch);
    CHECK(test::in_box(x));
    for (int64_t i = 0; i < 5; ++i) {
        CHECK(sizes(x, images, i) == sizes(attacked, images, i));
        CHECK_FALSE(identical(test::part(x, i, i + 1), test::part(attacked, i, i + 1)));
    }
    // Two images, two orders; one image, the same in any batch.
    CHECK(identical(attack.run(classifier, slice(batch, 3, 5)), test::part(x, 3, 5)));
    Batch twice{.images = select(batch, {0, 0}).images, .targets = slice(batch, 0, 2).targets, .ids = {0, 1}};
    const Tensor both = attack.run(classifier, twice);
    CHECK_FALSE(identical(test::part(both, 0, 1), test::part(both, 1, 2)));

    // A pixel's channels stay together: the sums over channels are the same multiset, up to turned signs.
    std::vector<float> before, after;
    for (int64_t p = 0; p < 16; ++p) {
        float a = 0, b = 0;
        for (int64_t c = 0; c < 3; ++c) {
            a += std::abs(attacked.data<float>()[p * 3 + c] - images.data<float>()[p * 3 + c]);
            b += std::abs(x.data<float>()[p * 3 + c] - images.data<float>()[p * 3 + c]);
        }
        before.push_back(a), after.push_back(b);
    }
    std::sort(before.begin(), before.end()), std::sort(after.begin(), after.end());
    CHECK(before == after);
    CHECK_THROWS_AS(shuffle_perturbation(batch, test::part(images, 0, 2)), ShapeError);
}

TEST_CASE("a shuffled perturbation of dark and bright pixels stays in ball and box", "[attacks]") {
    auto classifier = test::binary(std::vector<float>(12, 1.0f), 0);
    Tensor images = test::images({4, 2, 2, 3});
    for (float& v : images.mutable_data<float>()) v = std::round(v);
    const Batch batch{.images = images, .targets = Tensor::of<int64_t>({0, 0, 1, 1}, {4})};
    for (const char* norm : {"linf", "l2"}) {
        const auto attack = make_attack(
            "shuffled", {{"of", "bim"}, {"epsilon", "0.1"}, {"norm", norm}, {"shuffle_seed", "3"}});
        const Tensor x = attack->run(classifier, batch);
        CHECK(test::in_box(x));
        if (std::string(norm) == "linf") CHECK(test::linf_distance(x, images) <= 0.1);
        for (int64_t i = 0; i < 4; ++i)
            if (std::string(norm) == "l2") CHECK(test::l2_distance(x, images, i) <= 0.1);
        CHECK_FALSE(identical(x, images));
    }
    CHECK_THROWS_WITH(make_attack("shuffled"), Contains("of = pgd"));
    CHECK_THROWS_AS(make_attack("shuffled", {{"of", "shuffled"}}), OptionsError);
}
