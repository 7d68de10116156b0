#include "autograd/ops/losses.hpp"
#include "autograd/ops/reductions.hpp"
#include "autograd/tape.hpp"
#include "nn/models/cnn.hpp"
#include "nn/models/mlp.hpp"
#include "nn/models/registry.hpp"
#include "nn/models/resnet_small.hpp"
#include "nn/optimizers.hpp"
#include "nn/summary.hpp"
#include "tests/nn/model_test_support.hpp"

#include <catch2/catch.hpp>
#include <cmath>

using namespace microtome;
using Catch::Contains;

namespace {

CnnOptions tiny_cnn() {
    return {.classes = 3, .image = {.height = 40, .width = 44}, .channels = 4};
}

Tensor input_gradient(Module& model, const Tensor& images, const Tensor& labels) {
    Tape tape;
    tape.watch(images);
    return tape.gradient(cross_entropy(model(images), labels), images);
}

}  // namespace

TEST_CASE("the lung study's network has 425,669 parameters", "[nn][models]") {
    Cnn model;
    CHECK(model.parameter_count() == 425'669);
    CHECK(model.trainable_count() == 425'541);
    Summary table = summary(model, {1, 180, 180, 3});
    std::vector<int64_t> parameters;
    std::vector<Shape> sizes;
    for (const LayerRow& row : table.rows) {
        if (row.parameters) parameters.push_back(row.parameters);
        if (row.kind == "MaxPool2d") sizes.push_back(row.output);
    }
    CHECK(parameters == std::vector<int64_t>{896, 18'496, 36'928, 36'928, 256, 331'840, 325});
    CHECK(sizes == std::vector<Shape>{{1, 90, 90, 32}, {1, 45, 45, 64}, {1, 21, 21, 64}, {1, 9, 9, 64}});
    CHECK(table.multiply_adds ==
          27'993'600 + 149'299'200 + 43 * 43 * 9 * 64 * 64 + 19 * 19 * 9 * 64 * 64 + 5184 * 64 + 64 * 5);
    CHECK_THROWS_WITH(Cnn({.image = {.height = 39, .width = 40}}), Contains("40 pixels"));
    CHECK_NOTHROW(Cnn({.image = {.height = 40, .width = 40}}));
}

TEST_CASE("the lung study's network is blind to its right and lower border", "[nn][models]") {
    Cnn model;
    model.initialize(11);
    Tensor images = test::images({2, 180, 180, 3});
    Tensor g = input_gradient(model, images, Tensor::of(std::vector<int64_t>{0, 3}, {2}));
    std::vector<double> rows(180), columns(180);
    std::span<const float> elements = g.data<float>();
    for (int64_t i = 0; i < g.elements(); ++i) {
        rows[i / 3 / 180 % 180] += std::abs(static_cast<double>(elements[i]));
        columns[i / 3 % 180] += std::abs(static_cast<double>(elements[i]));
    }
    for (int i = 0; i < 180; ++i) {
        INFO("row or column " << i);
        CHECK((rows[i] != 0) == (i <= 170));
        CHECK((columns[i] != 0) == (i <= 170));
    }
}

TEST_CASE("architectures by name", "[nn][models]") {
    for (const std::string& name : architectures()) {
        INFO(name);
        auto model = make_model(name, {.classes = 3});
        const ModelOptions options = complete_options(name, {.classes = 3});
        Summary table = summary(*model, {2, options.image.height, options.image.width, 3});
        CHECK(table.rows.back().output == Shape{2, 3});
        CHECK(complete_options(name, options) == options);
    }
    CHECK(make_model("cnn")->parameter_count() == 425'669);
    // 784 * 3 * 128 + 128 + 128 * 5 + 5
    CHECK(make_model("mlp")->parameter_count() == 301'829);
    // Filters 27 * 16, stages 2 * 9 * 16^2, 9 * 16 * 32 + 9 * 32^2 + 16 * 32, 9 * 32 * 64 + 9 * 64^2 + 32 *
    // 64; batch norm 4 * (3 * 16 + 3 * 32 + 3 * 64); head 64 * 5 + 5.
    CHECK(make_model("resnet-small")->parameter_count() == 432 + 4608 + 14'336 + 57'344 + 1344 + 325);
    CHECK_THROWS_WITH(make_model("cnm"), Contains("did you mean cnn?"));
    CHECK_THROWS_WITH(make_model("cnn", {.numbers = {{"chanels", 3}}}), Contains("did you mean channels?"));
    CHECK_THROWS_AS(make_model("cnn", {.numbers = {{"channels", 2.5}}}), OptionsError);
    CHECK_THROWS_AS(make_model("cnn", {.numbers = {{"channels", 1e12}}}), OptionsError);
    CHECK_THROWS_AS(make_model("cnn", {.classes = 0}), OptionsError);
}

TEST_CASE("a residual block adds its shortcut before the last ReLU", "[nn][models]") {
    BasicBlock same(2, 2, 1), half(2, 4, 2);
    same.initialize(1);
    half.initialize(1);
    CHECK(half(test::images({1, 5, 4, 2})).shape() == Shape{1, 3, 2, 4});
    // With the second batch norm's scale at 0 only its shift and the shortcut are left.
    NamedTensors state = same.state();
    for (NamedTensor& entry : state) {
        if (entry.name == "bn2.weight") entry.tensor = Tensor::zeros({2});
        if (entry.name == "bn2.bias") entry.tensor = Tensor::of({-2.f, 1.f}, {2});
    }
    same.load(state);
    Tensor x = Tensor::of({1.f, -2.f, 3.f, 4.f}, {1, 1, 2, 2});
    CHECK(identical(same(x), Tensor::of({0.f, 0.f, 1.f, 5.f}, {1, 1, 2, 2})));
    std::vector<std::string> names;
    for (const NamedParameter& named : half.trainable()) names.push_back(named.name);
    CHECK(names == std::vector<std::string>{"conv1.weight", "bn1.weight", "bn1.bias", "conv2.weight",
                                            "bn2.weight", "bn2.bias", "downsample.0.weight",
                                            "downsample.1.weight", "downsample.1.bias"});
}

TEST_CASE("an image's logits do not depend on its batch", "[nn][models]") {
    const std::map<std::string, ModelOptions> small{
        {"cnn", {.classes = 3, .image = {.height = 40, .width = 44}, .numbers = {{"channels", 4}}}},
        {"mlp", {.classes = 3, .image = {.height = 9, .width = 7}, .numbers = {{"width", 37}}}},
        {"resnet-small", {.classes = 3, .image = {.height = 13, .width = 12}, .numbers = {{"channels", 5}}}},
        {"vit-small",
         {.classes = 3, .image = {.height = 8, .width = 12}, .numbers = {{"dimension", 20}, {"depth", 2}}}},
        {"resnet18", {.classes = 3, .image = {.height = 33, .width = 40}, .numbers = {{"width", 3}}}},
        {"resnet50", {.classes = 3, .image = {.height = 33, .width = 40}, .numbers = {{"width", 3}}}},
        {"densenet121", {.classes = 3, .image = {.height = 32, .width = 33}, .numbers = {{"growth", 2}}}},
        {"mobilenetv2", {.classes = 3, .image = {.height = 33, .width = 32}, .numbers = {{"width", 0.1}}}}};
    for (const auto& [name, options] : small) {
        INFO(name);
        auto model = make_model(name, options);
        model->initialize(5);
        Tensor images = test::images({33, options.image.height, options.image.width, 3});
        Tensor all = (*model)(images);
        for (int64_t batch : {1, 2, 3, 7, 32}) {
            Tensor first = (*model)(test::part(images, 0, batch));
            CHECK(identical(first, test::part(all, 0, batch)));
            Tensor last = (*model)(test::part(images, 33 - batch, 33));
            CHECK(identical(last, test::part(all, 33 - batch, 33)));
        }
        for (int threads : {1, 2, 3, 4}) {
            ThreadLimit limit(threads);
            CHECK(identical((*model)(images), all));
        }
    }
}

TEST_CASE("eval mode changes nothing, train mode the running statistics alone", "[nn][models]") {
    Cnn model(tiny_cnn());
    model.initialize(5);
    Tensor images = test::images({4, 40, 44, 3});
    Tensor labels = Tensor::of(std::vector<int64_t>{0, 1, 2, 0}, {4});
    const uint64_t before = test::state_hash(model);
    Tensor eval = model(images);
    input_gradient(model, images, labels);
    CHECK(test::state_hash(model) == before);

    model.train();
    CHECK_FALSE(identical(model(images), eval));
    NamedTensors state = model.state();
    Cnn untouched(tiny_cnn());
    untouched.initialize(5);
    NamedTensors start = untouched.state();
    for (std::size_t i = 0; i < state.size(); ++i) {
        const bool running = state[i].name.find("running") != std::string::npos;
        CHECK(identical(state[i].tensor, start[i].tensor) != running);
    }
}

TEST_CASE("a small network learns which half of an image is bright", "[nn][models]") {
    auto run = [](uint64_t seed) {
        Cnn model({.classes = 2, .image = {.height = 40, .width = 40}, .channels = 4});
        model.initialize(seed);
        model.train();
        Adam optimizer(model, {.lr = 1e-2});
        Tensor images = test::images({16, 40, 40, 3});
        std::vector<int64_t> labels;
        std::span<float> pixels = images.mutable_data<float>();
        for (int64_t n = 0; n < 16; ++n) {
            labels.push_back(n % 2);
            for (int64_t i = 0; i < 4800; ++i)
                if ((i / 3 % 40 < 20) == (n % 2 == 0)) pixels[n * 4800 + i] *= 0.3f;
        }
        Tensor y = Tensor::of(labels, {16});
        std::vector<double> losses;
        for (int step = 0; step < 40; ++step) {
            Tape tape;
            tape.watch(model.parameters());
            Tensor loss = mean(cross_entropy(model(images), y));
            losses.push_back(loss.item());
            optimizer.step(tape.gradient(loss, model.parameters(), Tape::After::release));
        }
        return losses;
    };
    const std::vector<double> losses = run(1);
    CHECK(losses.back() < losses.front() / 10);
    CHECK(run(1) == losses);
    CHECK(run(2) != losses);
}

TEST_CASE("the study's network takes the momentum of its batch norm, in Keras's words", "[nn][models]") {
    auto running_mean = [](const std::map<std::string, double>& numbers) {
        auto model = make_model("cnn", {.image = {.height = 40, .width = 40}, .numbers = numbers});
        model->initialize(1);
        model->train();
        (*model)(test::images({2, 40, 40, 3}));
        for (const NamedTensor& entry : model->state())
            if (entry.name == "norm.running_mean") return entry.tensor;
        return Tensor();
    };
    const Tensor slow = running_mean({}), fast = running_mean({{"bn_momentum", 0.9}});
    for (std::size_t i = 0; i < slow.data<float>().size(); ++i)
        CHECK(fast.data<float>()[i] == Approx(10 * slow.data<float>()[i]).epsilon(1e-4));
    CHECK(identical(slow, running_mean({{"bn_momentum", 0.99}})));
    CHECK_THROWS_AS(make_model("cnn", {.numbers = {{"bn_momentum", 1.5}}}), OptionsError);
}
