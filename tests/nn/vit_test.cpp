#include "autograd/ops/losses.hpp"
#include "autograd/ops/reductions.hpp"
#include "autograd/tape.hpp"
#include "nn/models/vit_small.hpp"
#include "nn/optimizers.hpp"
#include "nn/summary.hpp"
#include "tests/nn/model_test_support.hpp"

#include <catch2/catch.hpp>
#include <cmath>

using namespace microtome;
using Catch::Contains;

namespace {

VitOptions tiny() {
    return {.classes = 2,
            .image = {.height = 8, .width = 12},
            .patch = 4,
            .dimension = 12,
            .depth = 2,
            .heads = 3,
            .drop_path = 0.2};
}

}  // namespace

TEST_CASE("vision transformers have their published sizes", "[nn][vit]") {
    auto count = [](int64_t classes, int64_t dimension, int64_t heads) {
        Vit model({.classes = classes,
                   .image = {.height = 224, .width = 224},
                   .patch = 16,
                   .dimension = dimension,
                   .depth = 12,
                   .heads = heads});
        return model.parameter_count();
    };
    CHECK(count(1000, 768, 12) == 86'567'656);
    CHECK(count(5, 768, 12) == 85'802'501);
    CHECK(count(1000, 192, 3) == 5'717'416);
    CHECK(count(5, 192, 3) == 5'525'381);
}

TEST_CASE("a vision transformer's shapes, names and work", "[nn][vit]") {
    Vit model(tiny());
    Summary table = summary(model, {3, 8, 12, 3});
    CHECK(table.rows.back().output == Shape{3, 2});
    // Per image: 6 patches of 48, 7 tokens; qkv, scores and values, projection, two dense layers; head.
    const int64_t block = 7 * 12 * 36 + 2 * 7 * 7 * 12 + 7 * 12 * 12 + 2 * 7 * 12 * 48;
    CHECK(table.multiply_adds == 3 * (6 * 48 * 12 + 2 * block + 12 * 2));
    for (const LayerRow& row : table.rows)
        if (row.kind == "Attention") CHECK(row.multiply_adds == 3 * 2 * 7 * 7 * 12);
    std::vector<std::string> names;
    for (const NamedParameter& named : model.trainable()) names.push_back(named.name);
    CHECK(names[0] == "cls_token");
    CHECK(names[1] == "pos_embed");
    CHECK(names[2] == "patch_embed.proj.weight");
    for (const char* name : {"blocks.0.norm1.weight", "blocks.1.attn.qkv.bias", "blocks.1.attn.proj.weight",
                             "blocks.0.mlp.fc2.bias", "norm.bias", "head.weight"})
        CHECK(std::find(names.begin(), names.end(), name) != names.end());
    CHECK_THROWS_WITH(Vit({.image = {.height = 10, .width = 12}}), Contains("fill the image"));
    CHECK_THROWS_WITH(Vit({.dimension = 10, .heads = 4}), Contains("divide 10"));
}

TEST_CASE("attention is a weighted mean of values", "[nn][vit]") {
    // One head, scores 0: every token gets the mean over tokens of the values.
    Attention attention(2, 1);
    attention.load(
        {{"qkv.weight", Tensor::of({0.f, 0.f, 0.f, 0.f, 0.f, 0.f, 0.f, 0.f, 1.f, 0.f, 0.f, 2.f}, {6, 2})},
         {"qkv.bias", Tensor::zeros({6})},
         {"proj.weight", Tensor::of({1.f, 0.f, 0.f, 1.f}, {2, 2})},
         {"proj.bias", Tensor::zeros({2})}});
    Tensor y = attention(Tensor::of({1.f, 2.f, 3.f, 6.f}, {1, 2, 2}));
    for (int i = 0; i < 4; ++i) CHECK(y.data<float>()[i] == Approx(i % 2 ? 8 : 2));

    // Two tokens, q = k = v = x along one axis: weights softmax(x_i x_j / sqrt(2)).
    attention.load(
        {{"qkv.weight", Tensor::of({1.f, 0.f, 0.f, 0.f, 1.f, 0.f, 0.f, 0.f, 1.f, 0.f, 0.f, 0.f}, {6, 2})},
         {"qkv.bias", Tensor::zeros({6})},
         {"proj.weight", Tensor::of({1.f, 0.f, 0.f, 1.f}, {2, 2})},
         {"proj.bias", Tensor::zeros({2})}});
    y = attention(Tensor::of({1.f, 0.f, 3.f, 0.f}, {1, 2, 2}));
    const double a = std::exp(1 / std::sqrt(2.0)), b = std::exp(3 / std::sqrt(2.0)),
                 c = std::exp(9 / std::sqrt(2.0));
    CHECK(y.data<float>()[0] == Approx((a + 3 * b) / (a + b)));
    CHECK(y.data<float>()[2] == Approx((b + 3 * c) / (b + c)));
}

TEST_CASE("patches and their positions may change places together", "[nn][vit]") {
    Vit model(tiny());
    model.initialize(3);
    Tensor x = test::images({1, 8, 12, 3});
    Tensor before = model(x);
    // Swaps the first two patches of the upper row, then their positions.
    std::span<float> pixels = x.mutable_data<float>();
    for (int row = 0; row < 4; ++row)
        for (int i = 0; i < 12; ++i) std::swap(pixels[row * 36 + i], pixels[row * 36 + 12 + i]);
    Tensor moved = model(x);
    NamedTensors state = model.state();
    std::span<float> positions = state[1].tensor.mutable_data<float>();
    REQUIRE(state[1].name == "pos_embed");
    for (int i = 0; i < 12; ++i) std::swap(positions[12 + i], positions[24 + i]);
    model.load(state);
    Tensor after = model(x);
    for (int i = 0; i < 2; ++i) {
        CHECK(after.data<float>()[i] == Approx(before.data<float>()[i]).margin(1e-5));
        CHECK(moved.data<float>()[i] != before.data<float>()[i]);
    }
}

TEST_CASE("a small vision transformer learns", "[nn][vit]") {
    Vit model(tiny());
    model.initialize(1);
    model.train();
    AdamW optimizer(model, {.lr = 3e-3, .weight_decay = 0.05}, {{.pattern = "*.bias", .weight_decay = 0}});
    Tensor x = test::images({16, 8, 12, 3});
    std::vector<int64_t> labels;
    std::span<float> pixels = x.mutable_data<float>();
    for (int64_t n = 0; n < 16; ++n) {
        labels.push_back(n % 2);
        for (int64_t i = 0; i < 288; ++i)
            if ((i / 3 % 12 < 6) == (n % 2 == 0)) pixels[n * 288 + i] *= 0.2f;
    }
    Tensor y = Tensor::of(labels, {16});
    std::vector<double> losses;
    for (int64_t step = 0; step < 40; ++step) {
        Tape tape;
        tape.watch(model.parameters());
        Tensor loss = mean(cross_entropy(model(x, {.seed = 1, .step = step}), y));
        losses.push_back(loss.item());
        optimizer.step(tape.gradient(loss, model.parameters()));
    }
    CHECK(losses.back() < losses.front() / 5);
    CHECK_THROWS_WITH(model(x), Contains("says its step"));
    model.eval();
    CHECK(identical(test::part(model(x), 3, 5), model(test::part(x, 3, 5))));
}
