#include "evaluation/attention_rollout.hpp"

#include "base/error.hpp"
#include "nn/models/registry.hpp"
#include "tests/nn/model_test_support.hpp"

#include <catch2/catch.hpp>
#include <cmath>

using namespace microtome;

namespace {

std::unique_ptr<Module> small_vit(double depth, double heads, int64_t height = 16, int64_t width = 24) {
    auto model = make_model(
        "vit-small", {.classes = 3,
                      .image = {.height = height, .width = width},
                      .numbers = {{"patch", 8}, {"dimension", 8}, {"depth", depth}, {"heads", heads}}});
    model->initialize(4);
    return model;
}

double sum_of(const Tensor& x) {
    double sum = 0;
    for (float value : x.data<float>()) sum += static_cast<double>(value);
    return sum;
}

void set_weights(Module& model, const std::string& name, float value) {
    for (const NamedParameter& named : model.named_parameters())
        if (named.name == name)
            for (float& x : named.parameter->value.mutable_data<float>()) x = value;
}

}  // namespace

TEST_CASE("rollout of blocks that attend to all alike is known", "[evaluation][rollout]") {
    // Without weights every score is 0, attention is 1/7 everywhere, and with the identity beside it the
    // class token keeps k_L = 1/2 + (1/2)(1/7) .. of itself: R = (I/2 + J/14)^L, whose off-diagonal is
    // (1 - 2^-L) / 7.
    for (int depth : {1, 2, 4}) {
        const auto model = small_vit(depth, 2);
        for (int block = 0; block < depth; ++block) {
            set_weights(*model, str("blocks.", block, ".attn.qkv.weight"), 0);
            set_weights(*model, str("blocks.", block, ".attn.qkv.bias"), 0);
        }
        const Tensor rollout = attention_rollout(*model, test::images({2, 16, 24, 3}), 16, 24);
        CHECK(rollout.shape() == Shape{2, 2, 3});
        for (float value : rollout.data<float>()) CHECK(value == Approx((1 - std::pow(.5, depth)) / 7));
    }
}

TEST_CASE("rollout follows attention, image by image", "[evaluation][rollout]") {
    const auto model = small_vit(3, 2);
    REQUIRE(has_attention(*model));
    const Tensor images = test::images({3, 16, 24, 3});
    model->train();
    const uint64_t before = test::state_hash(*model);
    const Tensor rollout = attention_rollout(*model, images, 16, 24);
    CHECK_FALSE(model->training());
    CHECK(test::state_hash(*model) == before);
    for (int64_t n = 0; n < 3; ++n) {
        const Tensor one = attention_rollout(*model, test::part(images, n, n + 1), 16, 24);
        CHECK(identical(one.view(one.shape()), test::part(rollout, n, n + 1)));
        CHECK(sum_of(one) < 1);  // the rest stays with the class token
        CHECK(sum_of(one) > 0.5);
    }
    // Queries and keys large: attention picks, and the images differ.
    set_weights(*model, "blocks.0.attn.qkv.bias", 0);
    for (const NamedParameter& named : model->named_parameters())
        if (named.name.ends_with("qkv.weight"))
            for (float& x : named.parameter->value.mutable_data<float>()) x *= 100;
    const Tensor sharp = attention_rollout(*model, images, 16, 24);
    CHECK_FALSE(identical(test::part(sharp, 0, 1), test::part(sharp, 1, 2)));
}

TEST_CASE("rollout wants attention over a grid", "[evaluation][rollout]") {
    auto mlp = make_model("mlp", {.image = {.height = 8, .width = 8}});
    mlp->initialize(1);
    CHECK_FALSE(has_attention(*mlp));
    CHECK_THROWS_AS(attention_rollout(*mlp, test::images({1, 8, 8, 3}), 8, 8), ShapeError);
    const auto model = small_vit(1, 1);
    CHECK_THROWS_AS(attention_rollout(*model, test::images({1, 16, 24, 3}), 64, 16), ShapeError);
}
