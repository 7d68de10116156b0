// `microtome harden` from outside.
#include "base/atomic_file.hpp"
#include "base/hash.hpp"
#include "data/image.hpp"
#include "data/loader.hpp"
#include "data/open.hpp"
#include "data/split.hpp"
#include "data/tissue.hpp"
#include "evaluation/results.hpp"
#include "nn/model_file.hpp"
#include "nn/optimizers.hpp"
#include "tests/apps/program.hpp"
#include "tests/nn/model_test_support.hpp"
#include "tests/scratch_folder.hpp"
#include "training/trainer.hpp"

#include <catch2/catch.hpp>
#include <filesystem>

using namespace microtome;
using Catch::Contains;

namespace {

constexpr int kSide = 8;

std::string bytes(const std::string& path) {
    return read_file(path, 1 << 24);
}

// Two classes that differ twice: the left half is brighter or darker than the right by 60 grey levels on
// average, now more, now less; and a chequered pattern of 3 grey levels begins with a bright or with a dark
// square. Images of different numbers differ.
void write_image(const std::string& path, bool bright, int i) {
    Tensor image = Tensor::full({kSide, kSide, 1}, 0, Dtype::u8);
    std::span<uint8_t> pixels = image.mutable_data<uint8_t>();
    const int contrast = (bright ? 1 : -1) * (20 + i * 7 % 21);
    for (int y = 0; y < kSide; ++y)
        for (int x = 0; x < kSide; ++x)
            pixels[static_cast<std::size_t>(y * kSide + x)] = static_cast<uint8_t>(
                100 + i + (x < kSide / 2 ? contrast : -contrast) + ((x + y) % 2 == (bright ? 0 : 1) ? 3 : 0));
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    write_png(path, image);
}

void write_data(const std::string& root, int train = 20, const std::string& bright = "bright") {
    int number = 0;
    for (const auto& [part, n] : {std::pair<std::string, int>{"train", train}, {"val", 4}, {"test", 10}})
        for (int i = 0; i < n; ++i, ++number)
            for (bool is_bright : {true, false})
                write_image(str(root, '/', part, '/', is_bright ? bright : "dark", '/', part, i, ".png"),
                            is_bright, number);
}

// Sees the chequered pattern and nothing else: right about every image, until somebody takes 3 levels away.
void write_fragile_model(const std::string& path) {
    const ModelCard card{.architecture = "mlp",
                         .options = {.classes = 2,
                                     .image = {.height = kSide, .width = kSide, .channels = 1},
                                     .numbers = {{"depth", 0}}},
                         .classes = {"bright", "dark"},
                         .training = {{"who", "made by hand"}}};
    const std::unique_ptr<Module> model = make_model(card.architecture, card.options);
    model->initialize(0);
    for (const NamedParameter& named : model->named_parameters()) {
        std::span<float> w = named.parameter->value.mutable_data<float>();
        std::fill(w.begin(), w.end(), 0.f);
        if (w.size() == 2) continue;
        for (int k = 0; k < 2; ++k)
            for (int y = 0; y < kSide; ++y)
                for (int x = 0; x < kSide; ++x)
                    w[static_cast<std::size_t>((k * kSide + y) * kSide + x)] =
                        ((x + y) % 2 == 0) == (k == 0) ? 0.25f : -0.25f;
    }
    save_model(path, *model, card);
}

// A small CNN that has learned a little about the built-in tissue, with its split beside it.
void train_on_tissue(const std::string& folder, const std::string& data) {
    write_tissue(data, {.per_class = 20, .size = 40});
    const std::unique_ptr<Dataset> tissue = open_dataset(data);
    ModelCard card{.architecture = "cnn",
                   .options = {.classes = 5,
                               .image = {.height = 40, .width = 40, .resize = true},
                               .numbers = {{"channels", 4}, {"bn_momentum", 0.9}}},
                   .classes = tissue->classes(),
                   .training = {}};
    const std::unique_ptr<Module> model = make_model(card.architecture, card.options);
    model->initialize(4);
    const SplitOptions options{.kind = SplitKind::random, .train = 0.6, .val = 0.2, .test = 0.2, .seed = 5};
    const Split split = make_split(*tissue, options);
    Adam optimizer(*model, {.lr = 1e-2});
    Loader images(*tissue, split.train, {.batch = 8, .shuffle = true});
    Trainer(*model, optimizer, {.epochs = 12}).run(images);
    std::filesystem::create_directories(folder);
    save_model(folder + "/model.safetensors", *model, card);
    write_split(folder + "/split.json", *tissue, split, options);
}

const ResultRow& row(const Results& results, const std::string& model, const std::string& attack) {
    for (const ResultRow& one : results.rows)
        if (one.model == model && one.attack == attack) return one;
    throw std::runtime_error("no row " + attack + " of " + model);
}

}  // namespace

TEST_CASE("harden makes a model that looked at 3 grey levels look at 60", "[apps][harden]") {
    ScratchFolder folder;
    const std::string data = folder / "data", model = folder / "model.safetensors", run = folder / "run",
                      json = folder / "results.json", hardened = run + "/model.safetensors";
    write_data(data);
    write_fragile_model(model);
    const std::string before = bytes(model);
    const Outcome outcome = run_program(
        "harden --threads 1 --model " + model + " --data " + data + " --out " + run +
        " --attack pgd,universal --eps 4/255 --lr 0.02 --batch 8 --augment none --seed 3 --json " + json);
    INFO(outcome.output);
    REQUIRE(outcome.status == 0);
    CHECK_THAT(outcome.output,
               Contains("the set's own parts: learns from the 40 that it was trained on") &&
                   Contains("judged on 20 test images") && Contains("epoch 8/8") &&
                   Contains("pgd, made anew against each model") &&
                   Contains("0.000 [0.000, 0.161] (0 of 20)") && Contains("is an upper bound") &&
                   Contains("next: microtome evaluate --model " + hardened + " --data " + data));
    const Results results = read_results(json);
    CHECK(row(results, model, "none").accuracy() == Share{20, 20});
    CHECK(row(results, model, "pgd").accuracy() == Share{0, 20});
    CHECK(row(results, hardened, "none").accuracy() == Share{20, 20});
    CHECK(row(results, hardened, "pgd").accuracy() == Share{20, 20});
    CHECK(row(results, hardened, "static-pgd").accuracy() == Share{20, 20});
    CHECK(row(results, hardened, "static-universal").accuracy() == Share{20, 20});
    CHECK(results.pass());

    // The file says how it came to be; the one it came from is as it was.
    CHECK(bytes(model) == before);
    const std::map<std::string, std::string> said = load_model(hardened).card.training;
    CHECK(said.at("hardened_from") == model);
    CHECK(said.at("hardened_from_hash") == hex(hash_bytes(before)));
    CHECK(said.at("recipe") == "finetune");
    CHECK(said.at("objective") == "0.5 CE(clean) + 0.5 CE(attacked)");
    CHECK_THAT(said.at("attack_1"), Contains("pgd: norm = linf, epsilon = 4/255") && Contains("steps = 5") &&
                                        Contains("seed = 3"));
    CHECK_THAT(said.at("attack_2"), Contains("universal: epsilon = 4/255"));
    CHECK_THAT(said.at("attacked_images"), Contains("anew in every step; patterns fitted once"));
    CHECK(said.at("original.who") == "made by hand");
    CHECK(said.at("training_images") == "40");
    CHECK(said.at("epochs") == "8");
    CHECK_THAT(said.at("test_accuracy_under_attack_1"), Contains("(20 of 20)"));
    for (const char* name : {"config.json", "split.json", "metrics.jsonl", "metrics.csv",
                             "checkpoint.safetensors", "events.out.tfevents.0.microtome"})
        CHECK(std::filesystem::exists(run + '/' + name));
    // evaluate finds the parts beside it.
    const StoredSplit split = read_split(run + "/split.json", *open_dataset(data));
    CHECK(split.same_listing);
    CHECK(split.split.test.size() == 20);

    // Neither the run nor a model is written over.
    const Outcome again = run_program("harden --model " + model + " --data " + data + " --out " + run);
    CHECK(again.status == 2);
    CHECK_THAT(again.output, Contains("expected a folder without a run"));
    const Outcome over =
        run_program("harden --model " + model + " --data " + data + " --out " + (folder / ""));
    CHECK(over.status == 2);
    CHECK_THAT(over.output, Contains("expected a folder without a model"));
    // Asked again, it says the same.
    const std::string after = bytes(hardened);
    const Outcome asked = run_program("harden --threads 1 --resume --out " + run);
    INFO(asked.output);
    CHECK(asked.status == 0);
    CHECK_THAT(asked.output, Contains("pgd, made anew against each model"));
    CHECK(bytes(hardened) == after);
    CHECK_THAT(run_program("train --resume --out " + run).output, Contains("expected a run of train, got"));
}

TEST_CASE("harden learns from no test image", "[apps][harden]") {
    // The same training images beside other test images: the same weights.
    ScratchFolder folder;
    const std::string model = folder / "model.safetensors";
    write_fragile_model(model);
    for (const char* recipe : {"finetune", "finetune-static"}) {
        std::vector<NamedTensors> states;
        for (bool other : {false, true}) {
            const std::string name = str(recipe, other ? "-other" : ""), data = folder / (name + "-data");
            write_data(data, 6);
            if (other) {
                for (int i = 0; i < 10; ++i)
                    write_image(str(data, "/test/dark/test", i, ".png"), true, i + 50);
                write_image(data + "/test/dark/test0.png", true, 0);  // of a training image
            }
            const Outcome outcome =
                run_program("harden --threads 1 --epochs 2 --attack fgsm --model " + model + " --recipe " +
                            recipe + " --data " + data + " --out " + (folder / name));
            INFO(outcome.output);
            REQUIRE(outcome.status == (other ? 1 : 0));
            CHECK((outcome.output.find("FAIL  V9") != std::string::npos) == other);
            CHECK_THAT(outcome.output, Contains(other ? "(10 of 20)" : "(20 of 20)") &&
                                           Contains("the 12 that it was trained on"));
            states.push_back(load_model(folder / (name + "/model.safetensors")).model->state());
        }
        for (std::size_t i = 0; i < states[0].size(); ++i)
            CHECK(identical(states[0][i].tensor, states[1][i].tensor));
    }
}

TEST_CASE("harden that is killed or interrupted goes on bit for bit", "[apps][harden][resume]") {
    ScratchFolder folder;
    const std::string data = folder / "tissue", base = folder / "base";
    train_on_tissue(base, data);
    for (const auto& [recipe, signal] : {std::pair{"finetune", SIGKILL}, {"finetune-static", SIGINT}}) {
        INFO(recipe);
        const std::vector<std::string> words{"--model",  base + "/model.safetensors",
                                             "--data",   data,
                                             "--recipe", recipe,
                                             "--attack", "pgd,universal",
                                             "--steps",  "2",
                                             "--batch",  "8",
                                             "--epochs", "8"};
        std::string line = "harden --threads 1 --quiet";
        for (const std::string& word : words) line += ' ' + word;
        const std::string uncut = folder / str(recipe, "-uncut"), run = folder / recipe;
        const Outcome outcome = run_program(line + " --out " + uncut);
        INFO(outcome.output);
        REQUIRE(outcome.status == 0);
        CHECK_THAT(outcome.output,
                   Contains("split.json beside the model: learns from the 60 that it was trained on"));
        CHECK(run_with_interruptions("harden", words, run, signal) >= 1);
        CHECK(bytes(run + "/model.safetensors") == bytes(uncut + "/model.safetensors"));
    }
}

TEST_CASE("harden refuses what makes no sense, and says so", "[apps][harden]") {
    ScratchFolder folder;
    const std::string data = folder / "data", model = folder / "model.safetensors";
    write_data(data, 2);
    write_fragile_model(model);
    const std::string given = " --model " + model + " --data " + data + " --out " + (folder / "run");
    auto refuse = [&](const std::string& arguments, int status, const std::string& why) {
        INFO(arguments);
        const Outcome outcome = run_program("harden " + arguments);
        CHECK(outcome.status == status);
        CHECK_THAT(outcome.output, Contains(why));
    };
    refuse("", 2, "--out");
    refuse("--out " + (folder / "run"), 2, "expected --model, got none");
    refuse("--model " + model + " --out " + (folder / "run"), 2, "expected --data, got none");
    refuse("--recipe trades" + given, 2, "there is finetune (");
    refuse("--attack pgdd" + given, 2, "did you mean pgd?");
    refuse("--attack pgd,shuffled-pgd" + given, 2, "got the control shuffled-pgd");
    refuse("--attack ," + given, 2, "expected an attack, got none");
    refuse("--eps far" + given, 2, "far");
    refuse("--clean-weight -1" + given, 2, "expected weights of 0 or more");
    refuse("--epochs 0" + given, 2, "expected 1 epoch or more");
    refuse("--recipe finetune-static --augment flips" + given, 2, "expected --augment none");
    refuse("--resume --out " + (folder / "nothing"), 3, "no run to go on with");
    refuse("--model /nowhere --data " + data + " --out " + (folder / "run"), 3, "/nowhere");

    write_data(folder / "others", 2, "bald");
    refuse("--model " + model + " --data " + (folder / "others") + " --out " + (folder / "run"), 3,
           "expected the model's classes (bright, dark), got bald, dark");

    // Without parts nobody knows what the model has learned from, not even from a split of other images.
    for (int i = 0; i < 2; ++i)
        for (bool bright : {true, false})
            write_image(str(folder / "flat/", bright ? "bright/" : "dark/", i, ".png"), bright, i);
    const std::string flat =
        "--model " + model + " --data " + (folder / "flat") + " --out " + (folder / "run");
    refuse(flat, 2, "expected to know which images the model was trained on");
    const std::unique_ptr<Dataset> elsewhere = open_dataset(data);
    const SplitOptions own{.kind = SplitKind::own};
    write_split(folder / "split.json", *elsewhere, make_split(*elsewhere, own), own);
    refuse(flat, 2, "expected to know which images the model was trained on");
    CHECK_FALSE(std::filesystem::exists(folder / "run"));
}
