#include "studies/attention_pictures.hpp"

#include "nn/models/registry.hpp"
#include "report/study_report.hpp"
#include "tests/nn/model_test_support.hpp"

#include <catch2/catch.hpp>

using namespace microtome;
using Catch::Contains;
using Catch::StartsWith;

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
    CHECK_THAT(pictures[0].caption, StartsWith("ViT, clean: benign taken for benign; "));
    CHECK_THAT(pictures[1].caption, StartsWith("ViT, PGD: taken for malignant; "));
    CHECK_FALSE(identical(pictures[0].image, pictures[1].image));
    CHECK(pictures[0].image.shape() == strip.original.shape());
    // Even an untrained network's rollout, which is nearly even, spans from dark to bright over the pair: the
    // patches in the corners keep their value beyond their middle, so the extremes are met where they lie
    // there.
    float least = 1, most = 0;
    for (int which : {0, 1})
        for (std::size_t i = 0; i < 1800; ++i) {
            const Tensor& image = which == 0 ? strip.original : strip.adversarial;
            const float before = image.data<float>()[i], after = pictures[which].image.data<float>()[i];
            CHECK(after <= before + 1e-6f);
            CHECK(after >= 0.2f * before - 1e-6f);
            if (before < 0.01f) continue;
            least = std::min(least, after / before);
            most = std::max(most, after / before);
        }
    CHECK(least < 0.3f);
    CHECK(most > 0.9f);
    double low = 0, high = 0;
    const std::string range = pictures[0].caption.substr(pictures[0].caption.find("; ") + 2);
    REQUIRE(std::sscanf(range.c_str(), "%lf to %lf of an even share", &low, &high) == 2);
    CHECK(low <= 1);
    CHECK(high >= 1);

    report::StudyReport page;
    page.title = "T";
    page.attention = pictures;
    page.attention_note = kAttentionNote;
    CHECK_THAT(report::study_page(page), Contains("Attention rollout") && Contains("taken for malignant"));

    const auto mlp = make_model("mlp", {.image = {.height = 16, .width = 16, .resize = true}});
    mlp->initialize(1);
    CHECK(attention_pictures(*mlp, {.height = 16, .width = 16}, "MLP", {strip}).empty());
}
