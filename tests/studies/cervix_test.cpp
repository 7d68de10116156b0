// The cervical study's mistakes, one by one, and the study as a whole on drawn tissue.
#include "studies/cervix.hpp"

#include "base/atomic_file.hpp"
#include "base/interrupt.hpp"
#include "data/mobileodt_tissue.hpp"
#include "studies/cervix_notebook.hpp"
#include "tests/nn/model_test_support.hpp"
#include "tests/scratch_folder.hpp"

#include <catch2/catch.hpp>
#include <csignal>
#include <filesystem>

using namespace microtome;
using Catch::Contains;

namespace {

constexpr double kMean[] = {.485, .456, .406}, kDeviation[] = {.229, .224, .225};

LoadedModel small_model(uint64_t seed = 1) {
    ModelCard card{.architecture = "resnet-small",
                   .options = complete_options("resnet-small", {.classes = 2,
                                                                .image = {.height = 16,
                                                                          .width = 16,
                                                                          .mean = {.485, .456, .406},
                                                                          .deviation = {.229, .224, .225}},
                                                                .numbers = {{"channels", 2}}}),
                   .classes = {"a", "b"},
                   .training = {}};
    auto model = make_model(card.architecture, card.options);
    model->initialize(seed);
    return {std::move(model), card};
}

Batch some(int64_t n) {
    Batch batch{.images = test::images({n, 16, 16, 3})};
    std::vector<int64_t> labels;
    for (int64_t i = 0; i < n; ++i) {
        labels.push_back(i % 2);
        batch.ids.push_back(i);
    }
    batch.targets = Tensor::of(labels, {n});
    return batch;
}

double largest_change(const Tensor& a, const Tensor& b) {
    double most = 0;
    for (std::size_t i = 0; i < a.data<float>().size(); ++i)
        most = std::max(most, std::abs(static_cast<double>(a.data<float>()[i]) - b.data<float>()[i]));
    return most;
}

}  // namespace

TEST_CASE("the notebook's clamp alone blackens and cuts, whatever the attack", "[study][cervix]") {
    ModelClassifier classifier(small_model());
    const Batch batch = some(3);
    const Tensor clamped = CervixNotebookAttack(CervixAttack::clamp, false, 1).run(classifier, batch),
                 sound = CervixNotebookAttack(CervixAttack::clamp, true, 1).run(classifier, batch);
    for (std::size_t i = 0; i < clamped.data<float>().size(); ++i) {
        const double x = batch.images.data<float>()[i], mean = kMean[i % 3], high = mean + kDeviation[i % 3];
        CHECK(clamped.data<float>()[i] == Approx(std::clamp(x, mean, high)).margin(1e-6));
        CHECK(sound.data<float>()[i] == Approx(x).margin(1e-6));
    }
}

TEST_CASE("the notebook's attacks go .3 deviations, and BIM .1, and sound none goes further",
          "[study][cervix]") {
    ModelClassifier classifier(small_model());
    const Batch batch = some(4);
    const double eps = .3 * .229;
    for (const bool sound : {false, true})
        for (CervixAttack attack :
             {CervixAttack::fgsm, CervixAttack::rpa, CervixAttack::gna, CervixAttack::bim}) {
            const CervixNotebookAttack made(attack, sound, 5);
            INFO(made.name());
            const Tensor attacked = made.run(classifier, batch);
            CHECK(identical(attacked, made.run(classifier, batch)));
            CHECK(made.threat().epsilon == Approx(eps));
            if (!sound) CHECK(largest_change(attacked, batch.images) > .3);  // by the clamp
            if (sound && attack != CervixAttack::gna)
                CHECK(largest_change(attacked, batch.images) <=
                      (attack == CervixAttack::bim ? eps / 3 : eps) + 1e-6);
            if (sound && attack == CervixAttack::gna) CHECK(largest_change(attacked, batch.images) > eps);
            for (float x : attacked.data<float>()) CHECK((x >= 0 && x <= 1));
        }
    // In the middle of the range FGSM moves every channel by exactly .3 of its deviation.
    Batch grey = batch;
    for (float& x : grey.images.mutable_data<float>()) x = .5f;
    const Tensor attacked = CervixNotebookAttack(CervixAttack::fgsm, true, 1).run(classifier, grey);
    int moved = 0;
    for (std::size_t i = 0; i < attacked.data<float>().size(); ++i) {
        const double change = std::abs(attacked.data<float>()[i] - .5);
        CHECK((change < 1e-6 || change == Approx(.3 * kDeviation[i % 3]).epsilon(1e-4)));
        moved += change > 1e-3;
    }
    CHECK(moved > 1000);
}

TEST_CASE("each of the notebook's loops learns from what it says, by mistake or not", "[study][cervix]") {
    // One step of plain gradient descent from the same weights.
    auto stepped = [](CervixLoop loop) {
        LoadedModel model = small_model();
        Sgd optimizer(*model.model, {.lr = 0.1});
        MemoryBatches images(some(8), 8);
        const CervixLoopCounts counts =
            run_cervix_epoch(*model.model, optimizer, loop, images, 0, 3, [](int64_t) { return true; });
        CHECK(counts.images == 8);
        CHECK(counts.correct <= 8);
        return std::move(model.model);
    };
    auto weight = [](const Module& model, const char* name) {
        for (const NamedTensor& entry : model.state())
            if (entry.name == name) return entry.tensor;
        return Tensor();
    };
    const auto clean = stepped(CervixLoop::clean), fgsm = stepped(CervixLoop::fgsm),
               rpa = stepped(CervixLoop::rpa), gna = stepped(CervixLoop::gna), bim = stepped(CervixLoop::bim);
    const Tensor start = weight(*small_model().model, "fc.weight");
    // Training "on" noise is training on clean images; on FGSM's it is not.
    CHECK(identical(weight(*clean, "fc.weight"), weight(*rpa, "fc.weight")));
    CHECK(identical(weight(*clean, "fc.weight"), weight(*gna, "fc.weight")));
    CHECK_FALSE(identical(weight(*clean, "fc.weight"), weight(*fgsm, "fc.weight")));
    // BIM's step is the sum of eleven gradients.
    const double once = largest_change(weight(*clean, "fc.weight"), start),
                 leaked = largest_change(weight(*bim, "fc.weight"), start);
    CHECK(leaked > 5 * once);
    // The running statistics take in what was attacked.
    CHECK_FALSE(identical(weight(*clean, "bn1.running_mean"), weight(*rpa, "bn1.running_mean")));
}

TEST_CASE(
    "the cervical study as published fails the rails that its mistakes are, and goes on where it stopped",
    "[study][cervix]") {
    ScratchFolder folder;
    REQUIRE(write_mobileodt_tissue(folder / "cervix", {.per_class = 6, .size = 24}));
    const Preset preset = preset_of_text(R"(
title = "Cervix"
published = "cervix"
seed = 1
[data]
resize = 16
[model]
architecture = "resnet-small"
size = 16
numbers = { channels = 3 }
normalize = "imagenet"
[training]
epochs = 2
batch = 8
optimizer = "sgd"
lr = 0.02
schedule = "constant"
class_weights = "balanced"
[[attacks]]
attack = "fgsm"
epsilons = "4/255"
)",
                                         "cervix.toml");
    const std::string data = folder / "cervix";
    const StudyOutcome outcome = run_study(preset, {.data = data, .out = folder / "whole"});
    CHECK_FALSE(outcome.results.pass());
    std::map<std::string, bool> published;
    for (const Rail& rail : outcome.results.rails) {
        if (rail.text.starts_with("as published")) published[rail.id] = rail.pass;
        if (rail.text.starts_with("corrected")) CHECK(rail.pass);
    }
    CHECK_FALSE(published.at("V3"));   // the clamp leaves the ball
    CHECK_FALSE(published.at("V9"));   // planted copies on both sides, or the groups of copies
    CHECK_FALSE(published.at("V10"));  // 80 % of what it divides by
    CHECK_FALSE(published.at("V14"));  // train mode
    CHECK(published.contains("V2"));
    CHECK(published.contains("V11"));
    const std::string page = read_file(outcome.report, 1 << 26);
    CHECK_THAT(page, Contains(".4994") && Contains("blackens") && Contains(".982") && Contains("notebook"));

    // Interrupted in the loops, it ends with the same figures.
    {
        const InterruptGuard guard;
        struct Interrupting : std::stringbuf {
            int sync() override {
                if (str().find("loop fgsm") != std::string::npos && !sent) sent = true, std::raise(SIGINT);
                return 0;
            }
            bool sent = false;
        } buffer;
        std::ostream log(&buffer);
        CHECK(run_study(preset, {.data = data, .out = folder / "parts", .log = &log}).interrupted);
        CHECK(std::filesystem::exists(folder / "parts/published/progress.safetensors"));
    }
    const InterruptGuard guard;
    const StudyOutcome end = run_study(preset, {.data = data, .out = folder / "parts"});
    REQUIRE(end.results.rails.size() == outcome.results.rails.size());
    for (std::size_t i = 0; i < end.results.rails.size(); ++i) {
        const std::string& text = outcome.results.rails[i].text;
        if (!text.starts_with("as published") && !text.starts_with("corrected")) continue;
        CHECK(end.results.rails[i].value == outcome.results.rails[i].value);
        CHECK(end.results.rails[i].text == outcome.results.rails[i].text);
    }
}
