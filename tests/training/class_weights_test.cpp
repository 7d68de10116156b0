#include "training/class_weights.hpp"

#include "base/error.hpp"
#include "tests/training/training_test_support.hpp"
#include "training/recipe.hpp"

#include <catch2/catch.hpp>

using namespace microtome;
using namespace microtome::test;
using Catch::Contains;
using Weights = std::vector<double>;

TEST_CASE("balanced weights let all classes count alike", "[training][class_weights]") {
    CHECK(class_weights("balanced", {10, 30, 20}) == Weights{2, 2.0 / 3, 1});
    CHECK(class_weights("balanced", {4, 0}) == Weights{0.5, 0});
    CHECK(class_weights("1,0.5,2", {10, 30, 20}) == Weights{1, .5, 2});
    for (const char* wrong : {"balance", "1,2", "1,2,3,4", "1,-2,3", "1,nan,3", "0,0,0", "1,,3", ""})
        CHECK_THROWS_AS(class_weights(wrong, {1, 1, 1}), OptionsError);
}

TEST_CASE("a loss counts as its target's class does", "[training][class_weights]") {
    SmallNet model;
    const Batch batch = halves(6);
    const Pass pass{.step = 0, .ids = batch.ids};
    const Tensor plain = cross_entropy_objective()(model, batch, pass),
                 weighted = class_weighted(cross_entropy_objective(), {3, 0.5})(model, batch, pass);
    for (int i = 0; i < 6; ++i)
        CHECK(weighted.data<float>()[i] == (i % 2 ? 0.5f : 3.f) * plain.data<float>()[i]);
    Batch soft = batch;
    soft.targets = Tensor::zeros({6, 2});
    CHECK_THROWS_AS(class_weighted(cross_entropy_objective(), {3, 1})(model, soft, pass), ShapeError);
}

TEST_CASE("what a recipe freezes stays as it is, bit for bit", "[training][transfer]") {
    SmallNet model;
    NamedTensors before = model.state();
    Recipe recipe{
        .epochs = 2, .lr = 0.05, .freeze = {"0", "1"}, .lr_of = {{.pattern = "5.bias", .lr_factor = 0}}};
    freeze(model, recipe);
    const auto optimizer = make_optimizer(model, recipe);
    MemoryBatches train(halves(24), 5);
    TrainerOptions options;
    apply(recipe, train.batches(), options);
    CHECK(options.config.at("frozen") == "0, 1");
    CHECK(options.config.at("lr_of") == "5.bias times 0");
    Trainer(model, *optimizer, options).run(train);
    const NamedTensors after = model.state();
    for (std::size_t i = 0; i < before.size(); ++i) {
        INFO(before[i].name);
        // The convolution, batch norm's weights and buffers; and what learns at no rate.
        const bool kept = before[i].name[0] < '2' || before[i].name == "5.bias";
        CHECK(identical(before[i].tensor, after[i].tensor) == kept);
    }
}

TEST_CASE("a group of weights learns at a rate of its own", "[training][transfer]") {
    auto moved = [](const std::vector<std::string>& groups) {
        SmallNet model;
        Recipe recipe{.optimizer = "sgd", .lr = 0.01, .momentum = 0};
        for (const std::string& text : groups) recipe.lr_of.push_back(lr_group(text));
        const auto optimizer = make_optimizer(model, recipe);
        const Tensor start = model.parameters().back().clone();
        Tensors ones;
        for (const Tensor& weight : model.parameters()) {
            Tensor g = Tensor::zeros(weight.shape());
            for (float& x : g.mutable_data<float>()) x = 1;
            ones.push_back(g);
        }
        optimizer->step(ones);
        return start.data<float>()[0] - model.parameters().back().data<float>()[0];
    };
    CHECK(moved({"5=10"}) == Approx(0.1).epsilon(1e-4));
    CHECK(moved({"0=10"}) == Approx(0.01).epsilon(1e-4));
    CHECK(moved({"5.bias=2", "5=10"}) == Approx(0.02).epsilon(1e-4));  // the first that covers it
    CHECK_THROWS_WITH(moved({"no.such=2"}), Contains("no.such"));
    for (const char* wrong : {"head", "head=", "=3", "head=fast", "head=1x"})
        CHECK_THROWS_AS(lr_group(wrong), OptionsError);
}
