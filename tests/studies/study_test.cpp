#include "studies/study.hpp"

#include "base/atomic_file.hpp"
#include "base/error.hpp"
#include "base/interrupt.hpp"
#include "data/tissue.hpp"
#include "evaluation/witnesses.hpp"
#include "nn/model_file.hpp"
#include "studies/published.hpp"
#include "tests/emulation/emulated_device.hpp"
#include "tests/scratch_folder.hpp"

#include <catch2/catch.hpp>
#include <csignal>
#include <filesystem>
#include <sstream>

using namespace microtome;
using Catch::Contains;

namespace {

constexpr const char* kSmall = R"(
title = "Small"
asked = "Does it run?"
limits = "Everything else."
seed = 3
[data]
per_class = 10
size = 40
split = "random"
train = 0.6
val = 0.2
test = 0.2
[model]
architecture = "cnn"
size = 40
numbers = { channels = 4, bn_momentum = 0.8 }
[training]
epochs = 3
batch = 10
lr = 3e-3
augment = { flips = true }
[[attacks]]
attack = "pgd"
title = "PGD"
epsilons = ["4/255", "16/255"]
settings = { steps = 2 }
column = "PGD"
column_epsilon = "4/255"
also_static = true
[[attacks]]
attack = "uniform-noise"
epsilons = "4/255"
models = "baseline"
[[universal]]
attack = "universal"
settings = { epsilon = "8/255", epochs = 1 }
column = "UAP"
[[hardening]]
name = "fresh"
title = "hardened, fresh"
[hardening.training]
epochs = 1
[[hardening.attacks]]
attack = "fgsm"
epsilons = "4/255"
[[hardening]]
name = "static"
fresh = false
universal = true
[hardening.training]
epochs = 1
[[hardening.attacks]]
attack = "fgsm"
epsilons = "4/255"
[contrast]
title = "one epoch only"
[contrast.training]
epochs = 1
)";

// The same rows, whatever they took.
std::vector<ResultRow> timeless(std::vector<ResultRow> rows) {
    for (ResultRow& row : rows) row.seconds = 0;
    return rows;
}

// A log that sends SIGINT when a line with these words is written.
class Interrupting : public std::stringbuf {
  public:
    explicit Interrupting(std::string words) : words_(std::move(words)) {}

  private:
    int sync() override {
        if (!sent_ && str().find(words_) != std::string::npos) {
            sent_ = true;
            std::raise(SIGINT);
        }
        return 0;
    }
    std::string words_;
    bool sent_ = false;
};

}  // namespace

TEST_CASE("a study goes from images to a report, and again from where it stopped", "[study]") {
    ScratchFolder folder;
    const Preset preset = preset_of_text(kSmall, "small.toml");
    const std::string whole = folder / "whole";
    const StudyOutcome outcome = run_study(preset, {.out = whole, .command = "microtome study small.toml"});
    CHECK_FALSE(outcome.interrupted);

    const std::vector<ResultRow>& rows = outcome.results.rows;
    auto count = [&](const std::string& model, const std::string& attack) {
        return std::count_if(rows.begin(), rows.end(), [&](const ResultRow& row) {
            return row.model == model && row.attack == attack;
        });
    };
    CHECK(count("baseline", "none") == 1);
    CHECK(count("baseline", "pgd") == 2);
    CHECK(count("baseline", "uniform-noise") == 1);
    CHECK(count("fresh", "uniform-noise") == 0);
    CHECK(count("fresh", "pgd") == 2);
    CHECK(count("fresh", "static-pgd") == 1);
    CHECK(count("static", "universal") == 1);
    CHECK(count("contrast", "none") == 1);
    CHECK(count("contrast", "pgd") == 0);
    for (const ResultRow& row : rows) {
        CHECK(row.n == 10);
        if (row.witnesses.empty()) continue;
        LoadedModel loaded = load_model(whole + "/" + row.model + "/model.safetensors");
        ModelClassifier classifier(std::move(loaded));
        const WitnessCheck check = check_witnesses(whole + "/" + row.witnesses, classifier);
        CHECK(check.same == check.witnesses);
    }
    CHECK(timeless(read_results(whole + "/results.json").rows) == timeless(rows));
    const std::string page = read_file(outcome.report, 1 << 26);
    CHECK_THAT(page, Contains("Does it run?") && Contains("Everything else.") &&
                         Contains("hardened, fresh") && Contains("microtome study small.toml"));

    {  // what is finished is not done twice
        const auto model = std::filesystem::last_write_time(whole + "/baseline/model.safetensors");
        std::ostringstream log;
        const StudyOutcome again = run_study(preset, {.out = whole, .log = &log});
        CHECK(std::filesystem::last_write_time(whole + "/baseline/model.safetensors") == model);
        CHECK_THAT(log.str(), Contains("trained already"));
        for (std::size_t i = 0; i < rows.size(); ++i)  // seconds included: nothing was attacked again
            CHECK((rows[i].attack == "none" || again.results.rows.at(i) == rows[i]));
    }
    {  // interrupted anywhere, it ends with the same rows
        const std::string parts = folder / "parts";
        for (const char* moment :
             {"epoch 2/3", "fitting", "attacking baseline", "hardening: hardened", "hardening: static"}) {
            const InterruptGuard guard;
            Interrupting buffer(moment);
            std::ostream log(&buffer);
            CHECK(run_study(preset, {.out = parts, .log = &log}).interrupted);
        }
        const InterruptGuard guard;  // forgets the signals
        const StudyOutcome end = run_study(preset, {.out = parts});
        REQUIRE_FALSE(end.interrupted);
        CHECK(timeless(end.results.rows) == timeless(rows));
        CHECK(end.results.metrics.size() == outcome.results.metrics.size());
    }
    const Preset other = preset_of_text(std::string(kSmall) + "# changed\n", "other.toml");
    CHECK_THROWS_WITH(run_study(other, {.out = whole}), Contains("another preset"));
}

TEST_CASE("the same weights fail V1 and V2 fed images scaled twice, and pass them fed once", "[study]") {
    ScratchFolder folder;
    const Preset preset = preset_of_text(R"(
title = "Published"
published = "lung"
seed = 1
[data]
per_class = 20
size = 60
[model]
architecture = "cnn"
size = 60
numbers = { channels = 4, bn_momentum = 0.8 }
[training]
epochs = 5
lr = 3e-3
batch = 10
[[attacks]]
attack = "pgd-notebook"
)",
                                         "published.toml");
    const StudyOutcome outcome = run_study(preset, {.out = folder / "run"});
    int failed = 0, healthy = 0;
    for (const Rail& rail : outcome.results.rails) {
        if (rail.text.starts_with("as published")) {
            CHECK_FALSE(rail.pass);
            CHECK((rail.id == "V1" || rail.id == "V2"));
            ++failed;
        } else if (rail.text.starts_with("the same weights")) {
            INFO(rail.text);
            CHECK(rail.pass);
            ++healthy;
        }
    }
    CHECK(failed == 2);
    CHECK(healthy == 2);
    CHECK_FALSE(outcome.results.pass());
    CHECK_THAT(read_file(outcome.report, 1 << 26), Contains(".1827") && Contains("divided by 255 twice"));
}

TEST_CASE("training images with a copy among the test images are left out", "[study]") {
    ScratchFolder folder;
    const std::string images = folder / "images";
    write_tissue(images, {.per_class = 10, .size = 40});
    std::filesystem::remove(images + "/manifest.csv");
    std::filesystem::remove(images + "/tissue.json");
    const std::string copied = images + "/train/colon_n/00004.png";
    std::filesystem::copy_file(copied, images + "/test/colon_n/copy.png");
    write_file(images + "/train/lung_n/damaged.png", "no picture");

    const std::string text =
        "title = 'Copies'\n[data]\n@[model]\nsize = 40\nnumbers = { channels = 3 }\n[training]\nepochs = 1\n";
    for (const bool find : {true, false}) {
        std::string preset = text;
        preset.replace(preset.find('@'), 1, find ? "" : "find_copies = false\n");
        const StudyOutcome outcome = run_study(preset_of_text(preset, "copies.toml"),
                                               {.data = images, .out = folder / (find ? "run" : "blind")});
        for (const Rail& rail : outcome.results.rails)
            if (rail.id == "V9") {
                INFO(rail.text);
                CHECK(rail.pass == find);
            }
        const std::string page = read_file(outcome.report, 1 << 26);
        CHECK_THAT(page, Contains("train/lung_n/damaged.png"));  // skipped, and said so
        CHECK((page.find("left out of training") != std::string::npos) == find);
    }
}

TEST_CASE("rivals and ensembles meet the attacks that the baseline meets", "[study][ensemble]") {
    ScratchFolder folder;
    const std::string text = R"(
title = "Several"
seed = 2
[data]
per_class = 10
size = 32
split = "random"
train = 0.6
val = 0.2
test = 0.2
[model]
title = "small residual"
architecture = "resnet-small"
size = 32
numbers = { channels = 3 }
[training]
epochs = 1
batch = 10
sampling = "balanced"
[[models]]
name = "vit"
title = "small transformer"
architecture = "vit-small"
size = 32
numbers = { patch = 8, dimension = 16, depth = 2, heads = 2 }
[ensemble]
members = 2
voting = ["mean-probability", "vote"]
[[attacks]]
attack = "pgd"
title = "PGD"
epsilons = ["8/255", "240/255"]
settings = { steps = 3 }
column = "PGD"
column_epsilon = "240/255"
[[universal]]
attack = "universal"
settings = { epsilon = "8/255", epochs = 1 }
)";
    const StudyOutcome outcome = run_study(preset_of_text(text, "several.toml"), {.out = folder / "run"});
    const std::vector<ResultRow>& rows = outcome.results.rows;
    auto count = [&](const std::string& model, const std::string& attack) {
        return std::count_if(rows.begin(), rows.end(), [&](const ResultRow& row) {
            return row.model == model && row.attack == attack;
        });
    };
    for (const char* model : {"baseline", "vit", "ensemble-mean-probability", "ensemble-vote"}) {
        CHECK(count(model, "none") == 1);
        CHECK(count(model, "pgd") == 2);
        CHECK(count(model, "universal") == (std::string(model) == "baseline"));
    }
    CHECK(count("member-2", "none") == 0);
    CHECK(std::filesystem::exists(folder / "run/member-2/model.safetensors"));
    CHECK(load_model(folder / "run/vit/model.safetensors").card.architecture == "vit-small");
    const std::string page = read_file(outcome.report, 1 << 26);
    CHECK_THAT(page, Contains("small transformer") && Contains("ensemble of 2, vote") &&
                         Contains("Clean images: small residual right in") &&
                         Contains("Under PGD at 240/255") && Contains("substitute"));
}

TEST_CASE("a study begins with given weights, and says so", "[study][transfer]") {
    ScratchFolder folder;
    const std::string text =
        "title = 'Tuned'\n[data]\nper_class = 10\nsize = 32\n[model]\narchitecture = 'resnet-small'\n"
        "numbers = { channels = 3 }\n[training]\nepochs = 1\nfreeze = ['conv1', 'bn1']\n";
    ModelCard card{.architecture = "resnet-small",
                   .options = {.classes = 2,
                               .image = {.resize = true, .mean = {.5, .5, .5}, .deviation = {.3, .3, .3}},
                               .numbers = {{"channels", 3}}},
                   .classes = {"x", "y"},
                   .training = {}};
    card.options = complete_options(card.architecture, card.options);
    auto given = make_model(card.architecture, card.options);
    given->initialize(77);
    save_model(folder / "given.safetensors", *given, card);
    const Preset preset = preset_of_text(text, "tuned.toml");
    const StudyOptions options{.out = folder / "run", .init = folder / "given.safetensors"};
    const StudyOutcome outcome = run_study(preset, options);
    const LoadedModel tuned = load_model(folder / "run/baseline/model.safetensors");
    CHECK(tuned.card.options.image.mean == std::vector<double>{.5, .5, .5});  // as the file says
    CHECK(tuned.card.classes.size() == 5);
    const NamedTensors before = given->state(), after = tuned.model->state();
    for (std::size_t i = 0; i < before.size(); ++i)
        if (before[i].name.starts_with("conv1") || before[i].name.starts_with("bn1"))
            CHECK(identical(before[i].tensor, after[i].tensor));
    CHECK_THAT(read_file(outcome.report, 1 << 26),
               Contains("given.safetensors, but anew: fc.weight, fc.bias"));
    run_study(preset, options);  // goes on with what is there
    CHECK_THROWS_WITH(run_study(preset, {.out = folder / "run"}),
                      Contains("the weights it was trained from"));
}

TEST_CASE("a study says what it lacks", "[study]") {
    ScratchFolder folder;
    const Preset no_test = preset_of_text(
        "title = 'A'\n[data]\nper_class = 10\nsplit = 'random'\ntrain = 0.9\nval = "
        "0.1\ntest = 0\n",
        "x.toml");
    CHECK_THROWS_WITH(run_study(no_test, {.out = folder / "run"}), Contains("images in the test part"));
    CHECK_THROWS_AS(run_study(no_test, {.data = folder / "nothing", .out = folder / "run2"}),
                    MissingFileError);
}

TEST_CASE("a study on the device trains the CPU's models", "[cuda][study]") {
    constexpr const char* tiny = R"(
title = "Tiny"
asked = "Does it run?"
limits = "Everything else."
seed = 3
[data]
per_class = 10
size = 41
split = "random"
train = 0.6
val = 0.2
test = 0.2
[model]
architecture = "cnn"
size = 41
numbers = { channels = 2, bn_momentum = 0.8 }
[training]
epochs = 2
batch = 8
lr = 3e-3
augment = { flips = true, rotation = 20 }
[[attacks]]
attack = "pgd"
title = "PGD"
epsilons = "4/255"
settings = { steps = 1 }
column = "PGD"
column_epsilon = "4/255"
[[hardening]]
name = "fresh"
title = "hardened, fresh"
[hardening.training]
epochs = 1
[[hardening.attacks]]
attack = "fgsm"
epsilons = "4/255"
)";
    using cuda::emulation::EmulatedDevice, cuda::emulation::kCuda;
    EmulatedDevice device;
    ScratchFolder folder;
    const Preset preset = preset_of_text(tiny, "tiny.toml");
    const StudyOutcome here = run_study(preset, {.out = folder / "here"});
    const StudyOutcome there = run_study(preset, {.out = folder / "there", .device = kCuda});
    // The CPU's attacks run by plans that round otherwise; training does not.
    const std::string model = "/baseline/model.safetensors";
    CHECK(read_file(folder / "here" + model, 1 << 24) == read_file(folder / "there" + model, 1 << 24));
    REQUIRE(there.results.rows.size() == here.results.rows.size());
    for (std::size_t i = 0; i < here.results.rows.size(); ++i) {
        CHECK(there.results.rows[i].model == here.results.rows[i].model);
        CHECK(there.results.rows[i].attack == here.results.rows[i].attack);
        CHECK(there.results.rows[i].n == here.results.rows[i].n);
    }
    CHECK(there.results.rows[0].n_correct == here.results.rows[0].n_correct);
}
