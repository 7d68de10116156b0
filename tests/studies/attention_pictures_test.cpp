#include "studies/attention_pictures.hpp"

#include "nn/models/registry.hpp"
#include "report/study_report.hpp"
#include "tests/nn/model_test_support.hpp"

#include <catch2/catch.hpp>

using namespace microtome;
using Catch::Contains;

TEST_CASE("attention is shown on the clean and on the attacked image", "[study][rollout]") {
    ModelOptions options{.classes = 3,
                         .image = {.height = 16, .width = 16, .resize = true},
                         .numbers = {{"patch", 4}, {"dimension", 8}, {"depth", 2}, {"heads", 2}}};
    const auto model = make_model("vit-small", options);
    model->initialize(1);
    report::PerturbationStrip strip;
    strip.original = test::images({20, 30, 3}, 1);
    strip.adversarial = test::images({20, 30, 3}, 2);
    strip.truth = "benign";
    strip.before.name = "benign";
    strip.after.name = "malignant";
    strip.attack = "PGD";
    const auto pictures = attention_pictures(*model, options.image, "ViT", {strip, strip});
    REQUIRE(pictures.size() == 4);
    CHECK(pictures[0].caption == "ViT, clean: benign taken for benign");
    CHECK(pictures[1].caption == "ViT, PGD: taken for malignant");
    CHECK_FALSE(identical(pictures[0].image, pictures[1].image));
    CHECK(pictures[0].image.shape() == strip.original.shape());
    float most = 0;
    for (std::size_t i = 0; i < 1800; ++i) {
        const float before = strip.original.data<float>()[i], after = pictures[0].image.data<float>()[i];
        CHECK(after <= before + 1e-6f);
        CHECK(after >= 0.2f * before - 1e-6f);
        if (before > 0.01f) most = std::max(most, after / before);
    }
    CHECK(most == Approx(1).margin(1e-3));  // nothing is darkened where the rollout is largest

    report::StudyReport page;
    page.title = "T";
    page.attention = pictures;
    page.attention_note = kAttentionNote;
    CHECK_THAT(report::study_page(page), Contains("Attention rollout") && Contains("taken for malignant"));

    const auto mlp = make_model("mlp", {.image = {.height = 16, .width = 16, .resize = true}});
    mlp->initialize(1);
    CHECK(attention_pictures(*mlp, {.height = 16, .width = 16}, "MLP", {strip}).empty());
}
