#include "studies/notebook_attacks.hpp"

#include "base/error.hpp"
#include "studies/published.hpp"
#include "tests/nn/model_test_support.hpp"

#include <catch2/catch.hpp>
#include <cmath>

using namespace microtome;
using Catch::Contains;

namespace {

LoadedModel small() {
    ModelOptions options = complete_options(
        "cnn", {.classes = 3, .image = {.height = 64, .width = 64}, .numbers = {{"channels", 3}}});
    auto model = make_model("cnn", options);
    model->initialize(2);
    return {std::move(model),
            {.architecture = "cnn", .options = options, .classes = {"a", "b", "c"}, .training = {}}};
}

Batch some_images(int64_t n) {
    Batch batch{test::images({n, 64, 64, 3}), Tensor::zeros({n}, Dtype::i64), {}};
    for (int64_t i = 0; i < n; ++i) batch.targets.mutable_data<int64_t>()[i] = i % 3;
    return batch;
}

}  // namespace

TEST_CASE("smoothing keeps constants and sums, and spreads a point as a Gaussian", "[studies]") {
    const Tensor flat = smoothed(Tensor::full({5, 4, 3}, 0.25), 3);
    for (float value : flat.data<float>()) CHECK(value == Approx(0.25));

    Tensor point = Tensor::zeros({41, 1});
    point.mutable_data<float>()[20] = 1;
    const Tensor bell = smoothed(point, 2);
    double sum = 0;
    for (float value : bell.data<float>()) sum += value;
    CHECK(sum == Approx(1));
    CHECK(bell.data<float>()[22] / bell.data<float>()[20] == Approx(std::exp(-0.5)).epsilon(1e-5));
    CHECK(bell.data<float>()[18] == bell.data<float>()[22]);
    CHECK(bell.data<float>()[20 + 9] == 0);  // beyond four deviations

    Tensor edge = Tensor::zeros({6});
    edge.mutable_data<float>()[0] = 1;
    const Tensor mirrored = smoothed(edge, 1);  // the image of the point at -1 is the point itself
    double whole = 0;
    for (float value : mirrored.data<float>()) whole += value;
    CHECK(whole == Approx(1));
    CHECK(mirrored.data<float>()[1] / mirrored.data<float>()[0] ==
          Approx((std::exp(-0.5) + std::exp(-2.0)) / (1 + std::exp(-0.5))).epsilon(1e-5));
}

TEST_CASE("the notebook's patch changes three hundred values by a twentieth at most", "[studies]") {
    ModelClassifier classifier(small());
    Batch batch = some_images(2);
    NotebookPatch patch(7);
    CHECK_THROWS_WITH(patch.run(classifier, batch), Contains("fit()"));
    patch.fit(classifier, {64, 64, 3});
    const Tensor attacked = patch.run(classifier, batch);
    int64_t changed = 0;
    float most = 0;
    for (int64_t i = 0; i < attacked.elements(); ++i) {
        const float change = std::abs(attacked.data<float>()[i] - batch.images.data<float>()[i]);
        const int64_t row = i / 3 / 64 % 64, column = i / 3 % 64;
        if (change > 0) {
            ++changed;
            CHECK((row >= 50 && row < 60 && column >= 50 && column < 60));
        }
        most = std::max(most, change);
    }
    CHECK(changed <= 2 * 300);
    CHECK(changed > 2 * 250);
    CHECK(most <= 0.05f + 1e-6f);
    CHECK_THROWS_AS(patch.fit(classifier, {40, 40, 3}), ShapeError);
}

TEST_CASE("the notebook's perturbation stays within epsilon and raises the loss", "[studies]") {
    ModelClassifier classifier(small());
    Batch batch = some_images(6);
    MemoryBatches source(batch, 3);
    NotebookUniversal universal;
    CHECK_THROWS_WITH(universal.run(classifier, batch), Contains("fit()"));
    REQUIRE(universal.fit(classifier, source, {.quiet = true}));
    for (float value : universal.perturbation().data<float>()) CHECK(std::abs(value) <= 0.05f);
    auto loss = [&](const Tensor& images) {
        double sum = 0;
        const std::vector<int64_t> labels(batch.targets.data<int64_t>().begin(),
                                          batch.targets.data<int64_t>().end());
        for (double one : losses_of(classifier.logits({images, batch.targets, {}}), labels)) sum += one;
        return sum;
    };
    CHECK(loss(universal.run(classifier, batch)) > loss(batch.images));
}

TEST_CASE("the second division is what it says, forward and back", "[studies]") {
    ModelClassifier classifier(small()), once(small());
    TwiceScaled twice(classifier);
    Batch batch = some_images(2), dark = batch;
    dark.images = batch.images.clone();
    for (float& value : dark.images.mutable_data<float>()) value *= 1 / 255.f;
    CHECK(identical(twice.logits(batch), once.logits(dark)));
    const Tensor d = test::images({2, 3});
    const Tensor gradient = twice.vjp(d), inner = once.vjp(d);
    for (int64_t i = 0; i < gradient.elements(); ++i)
        CHECK(gradient.data<float>()[i] == inner.data<float>()[i] * (1 / 255.f));

    MemoryBatches source(batch, 2);
    TwiceScaledBatches darkened(source);
    darkened.start(0);
    CHECK(identical(darkened.next()->images, dark.images));
}
