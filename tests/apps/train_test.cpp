// `microtome train` from outside.
#include "base/atomic_file.hpp"
#include "base/hash.hpp"
#include "nn/model_file.hpp"
#include "nn/safetensors.hpp"
#include "tests/apps/program.hpp"
#include "tests/nn/model_test_support.hpp"
#include "tests/scratch_folder.hpp"

#include <catch2/catch.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>

using namespace microtome;
using Catch::Contains;

namespace {

Outcome train(const std::string& arguments) {
    return run_program("train " + arguments);
}

std::string bytes(const std::string& path) {
    return read_file(path, 1 << 24);
}

nlohmann::json json_file(const std::string& path) {
    return nlohmann::json::parse(bytes(path));
}

// Learns little, in no time.
const std::string kSmall = "--threads 1 --numbers channels=2 --size 40 --per-class 10 --batch 8 ";

// metrics.jsonl without what a clock says.
std::string without_seconds(const std::string& path) {
    std::string result;
    std::istringstream lines(bytes(path));
    for (std::string line; std::getline(lines, line);) {
        nlohmann::json row = nlohmann::json::parse(line);
        row.erase("seconds");
        result += row.dump() + '\n';
    }
    return result;
}

}  // namespace

TEST_CASE("train leaves a model, logs and settings, and says how well it does and what to do next",
          "[apps][training]") {
    ScratchFolder folder;
    const std::string run = folder / "run", file = folder / "result.json";
    const Outcome outcome = train(kSmall + "--epochs 2 --seed 3 --json " + file + " --out " + run);
    INFO(outcome.output);
    REQUIRE(outcome.status == 0);
    CHECK_THAT(outcome.output, Contains("epoch 2/2  loss") && Contains("test        accuracy 0.") &&
                                   Contains(" of 5)") && Contains("always the commonest class: 0.200") &&
                                   Contains("next: microtome data synth --per-class 10 --seed 3") &&
                                   Contains("microtome evaluate --model " + run));
    for (const char* name :
         {"config.json", "split.json", "metrics.jsonl", "metrics.csv", "checkpoint.safetensors",
          "events.out.tfevents.0.microtome", "model.safetensors"})
        CHECK(std::filesystem::exists(run + '/' + name));
    const nlohmann::json config = json_file(run + "/config.json"), result = json_file(file);
    CHECK(config.at("settings").at("epochs") == "2");
    CHECK(config.at("settings").at("schedule") == "cosine");
    CHECK(config.at("images").at("train") == 40);
    CHECK(config.at("model").at("numbers").at("bn_momentum") == 0.9);
    CHECK(result.at("accuracy").at("test").at("n") == 5);
    CHECK(result.at("accuracy").at("test").at("wilson").size() == 2);
    const LoadedModel model = load_model(run + "/model.safetensors");
    CHECK(model.card.classes.size() == 5);
    CHECK(model.card.training.at("seed") == "3");
    CHECK(model.card.training.at("epoch") == str(result.at("kept_epoch").get<int64_t>()));
    CHECK(model.card.training.contains("test_accuracy"));

    // The folder is taken, and goes on only as it began.
    const std::string before = bytes(run + "/model.safetensors");
    const Outcome again = train(kSmall + "--epochs 2 --out " + run);
    CHECK(again.status == 2);
    CHECK_THAT(again.output, Contains("expected a folder without a run") && Contains("--resume"));
    const Outcome other = train("--epochs 3 --resume --out " + run);
    CHECK(other.status == 2);
    CHECK_THAT(other.output, Contains("expected --epochs as the run began with, '2', got '3'"));
    CHECK(train("--threads 1 --resume --out " + run).status == 0);
    CHECK(bytes(run + "/model.safetensors") == before);
}

TEST_CASE("train that is killed or interrupted goes on bit for bit", "[apps][training][resume]") {
    ScratchFolder folder;
    const std::string uncut = folder / "uncut";
    REQUIRE(train(kSmall + "--epochs 12 --quiet --out " + uncut).status == 0);
    int midway = 0;
    for (int signal : {SIGKILL, SIGINT}) {
        INFO("signal " << signal);
        const std::string run = folder / str("run", signal);
        midway += run_with_interruptions("train",
                                         {"--numbers", "channels=2", "--size", "40", "--per-class", "10",
                                          "--batch", "8", "--epochs", "12"},
                                         run, signal);
        CHECK(bytes(run + "/model.safetensors") == bytes(uncut + "/model.safetensors"));
        CHECK(without_seconds(run + "/metrics.jsonl") == without_seconds(uncut + "/metrics.jsonl"));
    }
    CHECK(midway >= 1);
}

TEST_CASE("train can begin with another model's weights and leave some as they are", "[apps][training]") {
    ScratchFolder folder;
    ModelCard card{.architecture = "cnn",
                   .options = {.classes = 2,
                               .image = {.height = 40, .width = 40, .resize = true},
                               .numbers = {{"channels", 2}}},
                   .classes = {"a", "b"},
                   .training = {}};
    auto start = make_model("cnn", card.options);
    start->initialize(9);
    const std::string init = folder / "init.safetensors", run = folder / "run";
    save_model(init, *start, card);
    const Outcome outcome =
        train("--threads 1 --per-class 10 --epochs 1 --freeze conv1,conv2 --init " + init + " --out " + run);
    INFO(outcome.output);
    REQUIRE(outcome.status == 0);
    CHECK_THAT(outcome.output, Contains("began with " + init + ", but anew: fc2.weight, fc2.bias"));
    const NamedTensors after = load_model(run + "/model.safetensors").model->state(), before = start->state();
    for (std::size_t i = 0; i < before.size(); ++i) {
        INFO(before[i].name);
        const bool frozen = before[i].name.starts_with("conv1") || before[i].name.starts_with("conv2");
        CHECK(identical(before[i].tensor, after[i].tensor) == frozen);
    }
    CHECK(train("--threads 1 --resume --out " + run).status == 0);
    const Outcome wrong = train("--arch mlp --per-class 10 --init " + init + " --out " + (folder / "other"));
    CHECK(wrong.status == 2);
    CHECK_THAT(wrong.output, Contains("expected --arch cnn, as " + init));
    CHECK(train("--per-class 10 --freeze xyz --init " + init + " --out " + (folder / "x")).status == 2);
}

TEST_CASE("train refuses what makes no sense, and says so", "[apps][training]") {
    ScratchFolder folder;
    const std::string out = " --out " + (folder / "run") + ' ' + kSmall;
    auto refuse = [&](const std::string& arguments, int status, const std::string& why) {
        INFO(arguments);
        const Outcome outcome = train(arguments);
        CHECK(outcome.status == status);
        CHECK_THAT(outcome.output, Contains(why));
    };
    refuse("", 2, "--out");
    refuse("--epochs many" + out, 2, "expected a whole number for --epochs, got 'many'");
    refuse("--epochs 0" + out, 2, "expected 1 epoch or more");
    refuse("--augment flip" + out, 2, "did you mean flips?");
    refuse("--augment rotation" + out, 2, "expected rotation=NUMBER");
    refuse("--augment flips=2" + out, 2, "expected flips without a number");
    refuse("--schedule cosin" + out, 2, "cosine");
    refuse("--optimizer adams" + out, 2, "adamw");
    refuse("--shares 0.5,0.5" + out, 2, "three shares");
    refuse("--arch cnnn" + out, 2, "did you mean cnn?");
    refuse("--data /nowhere" + out, 3, "/nowhere");
    refuse("--resume --out " + (folder / "nothing"), 3, "no run to go on with");
    CHECK_FALSE(std::filesystem::exists(folder / "run"));
    // A rate that throws the weights to infinity.
    const Outcome diverged =
        train("--optimizer sgd --lr 1e30 --epochs 3 --out " + (folder / "far") + ' ' + kSmall);
    CHECK(diverged.status == 1);
    CHECK_THAT(diverged.output, Contains("epoch 1, step") && Contains("not finite"));
}

TEST_CASE("train tunes weights from elsewhere: frozen ones stay, the head begins anew, and it resumes",
          "[apps][training][transfer]") {
    ScratchFolder folder;
    ModelOptions options{.classes = 3, .numbers = {{"channels", 2}}};
    const auto start = make_model("resnet-small", complete_options("resnet-small", options));
    start->initialize(9);
    NamedTensors wrapped = start->state();
    for (NamedTensor& entry : wrapped) entry.name = "module." + entry.name;
    const std::string init = folder / "weights.safetensors", run = folder / "run";
    write_tensors(init, {wrapped, {}});
    const std::string common =
        "--threads 1 --arch resnet-small --numbers channels=2 --per-class 10 --batch 8 "
        "--freeze conv1,bn1 --lr-of fc=10 --class-weights balanced --sampling balanced "
        "--init " +
        init + " ";
    const Outcome unsaid = train(common + "--epochs 1 --out " + (folder / "unsaid"));
    CHECK(unsaid.status == 2);
    CHECK_THAT(unsaid.output, Contains("--range and --normalize") && Contains("imagenet"));

    const std::string told = common + "--range 0,1 --normalize imagenet ";
    const Outcome outcome = train(told + "--epochs 2 --out " + run);
    INFO(outcome.output);
    REQUIRE(outcome.status == 0);
    CHECK_THAT(outcome.output, Contains("but anew: fc.weight, fc.bias") && Contains("module."));
    const LoadedModel tuned = load_model(run + "/model.safetensors");
    CHECK(tuned.card.options.image.mean == std::vector<double>{.485, .456, .406});
    CHECK(tuned.card.training.at("lr_of") == "fc times 10");
    CHECK(tuned.card.training.at("class_weights") == "balanced");
    CHECK(tuned.card.training.at("sampling") == "balanced");
    const NamedTensors before = start->state(), after = tuned.model->state();
    for (std::size_t i = 0; i < before.size(); ++i) {
        const bool frozen = before[i].name.starts_with("conv1") || before[i].name.starts_with("bn1");
        INFO(before[i].name);
        CHECK(identical(before[i].tensor, after[i].tensor) == frozen);
    }
    // Cut short and going on, it is the same training.
    const std::string parts = folder / "parts";
    std::vector<std::string> words;
    std::istringstream list(told + "--epochs 2");
    for (std::string word; list >> word;)
        if (word != "--threads" && word != "1") words.push_back(word);
    run_with_interruptions("train", words, parts, SIGINT);
    CHECK(bytes(parts + "/model.safetensors") == bytes(run + "/model.safetensors"));
    // Other weights under the same name are another training.
    start->initialize(10);
    save_model(
        init, *start,
        {.architecture = "resnet-small", .options = options, .classes = {"a", "b", "c"}, .training = {}});
    const Outcome other = train("--resume --out " + parts);
    CHECK(other.status != 0);
    for (const char* wrong : {"--sampling even", "--class-weights 1,2", "--lr-of fc", "--lr-of nothing=2"})
        CHECK(train(std::string("--per-class 10 --epochs 1 --out ") + (folder / "x ") + wrong).status == 2);
}
