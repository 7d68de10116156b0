// `microtome attack` and `microtome evaluate` from outside, on a model whose accuracy under attack is known.
#include "base/atomic_file.hpp"
#include "base/text.hpp"
#include "data/image.hpp"
#include "data/open.hpp"
#include "data/split.hpp"
#include "evaluation/results.hpp"
#include "evaluation/witnesses.hpp"
#include "nn/model_file.hpp"
#include "tests/apps/program.hpp"
#include "tests/scratch_folder.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>

using namespace microtome;
using Catch::Contains;

namespace {

Outcome command(const std::string& arguments) {
    return run_program(arguments);
}

void grey_image(const std::string& path, int level) {
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    write_png(path, Tensor::full({4, 4, 1}, level, Dtype::u8));
}

// Bright images and dark ones, 15 each for the test, 1/2, 3/2, ... 29/2 grey levels from the middle.
void write_data(const std::string& root, const std::string& train = "train/",
                const std::string& test = "test/") {
    for (int i = 1; i <= 15; ++i) {
        grey_image(str(root, '/', test, "bright_aca/t", i, ".png"), 127 + i);
        grey_image(str(root, '/', test, "dark_n/t", i, ".png"), 128 - i);
    }
    for (int i = 1; i <= 3; ++i) {
        grey_image(str(root, '/', train, "bright_aca/", i, ".png"), 200 + i);
        grey_image(str(root, '/', train, "dark_n/", i, ".png"), 20 + i);
    }
}

// Says bright or dark, by the mean pixel and nothing else: whether it is above so many grey levels.
void write_model(const std::string& path, float level = 127.5f, const std::string& dark = "dark_n") {
    const ModelCard card{.architecture = "mlp",
                         .options = {.classes = 2,
                                     .image = {.height = 4, .width = 4, .channels = 1},
                                     .numbers = {{"depth", 0}}},
                         .classes = {"bright_aca", dark},
                         .training = {}};
    const std::unique_ptr<Module> model = make_model(card.architecture, card.options);
    model->initialize(0);
    for (const NamedParameter& named : model->named_parameters()) {
        std::span<float> w = named.parameter->value.mutable_data<float>();
        std::fill(w.begin(), w.end(), 0.0f);
        if (w.size() == 2)
            w[0] = -8 * level / 255;  // the bias
        else
            std::fill(w.begin(), w.begin() + 16, 8.0f / 16);
    }
    save_model(path, *model, card);
}

const Rail& rail(const Results& results, const std::string& id) {
    for (const Rail& one : results.rails)
        if (one.id == id) return one;
    throw std::runtime_error("no rail " + id);
}

}  // namespace

TEST_CASE("attack: figures that can be reckoned, files that others can check", "[apps][evaluation]") {
    ScratchFolder folder;
    write_data(folder / "data");
    write_model(folder / "model.safetensors");
    const std::string model = " --model " + (folder / "model.safetensors");
    const Outcome outcome =
        command("attack" + model + " --data " + (folder / "data") +
                " --attack pgd,fgsm,uniform-noise --eps 8/255,2/255 --steps 5 --restarts 2 --seed 3"
                " --save " +
                (folder / "saved") + " --json " + (folder / "results.json"));
    INFO(outcome.output);
    CHECK(outcome.status == 0);
    CHECK_THAT(outcome.output, Contains("the set's own test part: 30 images") && Contains("at most") &&
                                   Contains("worst-case") && Contains("pass  V1 ") && !Contains("FAIL"));
    const Results results = read_results(folder / "results.json");
    CHECK(results.seed == 3);
    REQUIRE(results.rows.size() == 9);  // clean, six, two worst cases
    CHECK(results.rows[0].attack == "none");
    CHECK(results.rows[0].accuracy() == Share{30, 30});
    // 8 levels turn those up to 7.5 from the middle, eight on each side; 2 levels turn two.
    for (int k : {1, 2, 7}) CHECK(results.rows[static_cast<std::size_t>(k)].accuracy() == Share{14, 30});
    for (int k : {4, 5, 8}) CHECK(results.rows[static_cast<std::size_t>(k)].accuracy() == Share{26, 30});
    CHECK(results.rows[1].attack == "pgd");
    CHECK(results.rows[1].malignant_turned == Share{8, 15});
    CHECK(results.rows[1].n_correct_8bit == 14);
    CHECK(results.rows[2].forward_passes == 30);
    CHECK(results.rails.size() == 14);
    CHECK(results.rails_not_run.empty());
    CHECK(rail(results, "V5").value == 0);
    CHECK(rail(results, "V9").pass);

    ModelClassifier classifier(load_model(folder / "model.safetensors"));
    const WitnessCheck check = check_witnesses(results.rows[1].witnesses, classifier);
    CHECK(check.witnesses == 30);
    CHECK(check.same == 30);
    CHECK(check.wrong == 16);
    CHECK(read_witnesses(results.rows[1].witnesses)[0].name == "test/bright_aca/t1.png");

    // A model that learned from some of the set's own test images is judged on what its training left out.
    const std::unique_ptr<Dataset> set = open_dataset(folder / "data");
    const SplitOptions random{.kind = SplitKind::random, .train = 0.5, .val = 0, .test = 0.5};
    write_split(folder / "split.json", *set, make_split(*set, random), random);
    CHECK_THAT(
        command("attack" + model + " --data " + (folder / "data") + " --attack fgsm --eps 2/255").output,
        Contains("the test part of split.json beside the model: 18 images"));
    std::filesystem::remove(folder / "split.json");

    // A universal perturbation is fitted on the training images: it darkens all or brightens all.
    const Outcome fitted =
        command("attack" + model + " --data " + (folder / "data") +
                " --attack universal,patch --eps 8/255,2/255 --json " + (folder / "u.json"));
    INFO(fitted.output);
    CHECK_THAT(fitted.output, Contains("fit of universal  6 training images"));
    const Results universal = read_results(folder / "u.json");
    REQUIRE(universal.rows.size() == 4);  // the patch has no epsilon, and is there once
    CHECK(universal.rows[1].accuracy().count == 22);
    CHECK(universal.rows[3].attack == "universal");
    CHECK(universal.rows[3].accuracy().count == 28);

    // The same command says the same, whatever the batch; another draws other images.
    const std::string few = "attack" + model + " --data " + (folder / "data") + " --n 24 --quiet --json ";
    CHECK(command(few + (folder / "a.json") + " --batch 32").status == 0);
    CHECK(command(few + (folder / "b.json") + " --batch 7").status == 0);
    auto rows = [&](const char* name) {
        std::vector<ResultRow> result = read_results(folder / name).rows;
        for (ResultRow& row : result) row.seconds = 0;
        return result;
    };
    CHECK(rows("a.json") == rows("b.json"));
    CHECK(rows("a.json")[0].n == 24);

    // With the tape's bits, said in the results.
    CHECK(rows("a.json")[1].mode == "plan");
    CHECK(command(few + (folder / "exact.json") + " --exact").status == 0);
    CHECK(rows("exact.json")[1].mode == "exact plan");
}

TEST_CASE("evaluate: a run folder with metrics, rows and witnesses", "[apps][evaluation]") {
    ScratchFolder folder;
    write_data(folder / "data", "", "");  // no parts: the split is beside the model
    std::filesystem::create_directories(folder / "run");
    write_model(folder / "run/model.safetensors");
    const std::unique_ptr<Dataset> set = open_dataset(folder / "data");
    Split split;
    for (int64_t i = 0; i < set->size(); ++i) {
        const bool is_test = set->samples()[static_cast<std::size_t>(i)].name.find("/t") != std::string::npos;
        (is_test ? split.test : split.train).push_back(i);
    }
    write_split(folder / "run/split.json", *set, split, {});
    const std::string line =
        "evaluate --model " + (folder / "run/model.safetensors") + " --data " + (folder / "data");
    const Outcome outcome = command(line + " --out " + (folder / "out"));
    INFO(outcome.output);
    CHECK(outcome.status == 0);
    CHECK_THAT(outcome.output,
               Contains("split.json beside the model: 30 images") && Contains("kappa 1.0000"));
    const Results results = read_results(folder / "out/results.json");
    CHECK(results.metrics.at(0).confusion.accuracy() == Share{30, 30});
    CHECK(results.metrics[0].malignant == std::vector<uint8_t>{1, 0});
    CHECK(results.rows.back().accuracy() == Share{14, 30});
    // Failures only are kept here.
    for (const ResultRow& row : results.rows) {
        if (row.witnesses.empty()) continue;
        CHECK(static_cast<int64_t>(read_witnesses(folder / ("out/" + row.witnesses)).size()) ==
              row.n - row.n_correct);
    }
    // An image that was learned from is among those judged: a rail fails, and so does the command.
    grey_image(folder / "data/bright_aca/t2.png", 201);
    const Outcome leak = command(line + " --out " + (folder / "out"));
    CHECK(leak.status == 1);
    CHECK_THAT(leak.output, Contains("FAIL  V9") && Contains("1 of 30 test images (1 by content") &&
                                Contains("bright_aca/t2.png"));

    // Without a split, all images, and nobody knows about leaks.
    std::filesystem::remove(folder / "run/split.json");
    const Outcome all = command(line + " --out " + (folder / "out"));
    CHECK(all.status == 0);
    CHECK_THAT(all.output, Contains("all images of the set: 36") && Contains("V9   not run"));
    // A split of another set is none of this one.
    write_file(folder / "run/split.json", "{}");
    CHECK_THAT(command(line + " --out " + (folder / "out")).output,
               Contains("all images of the set: 36") && Contains("V9   not run") && Contains("split.json]"));
}

TEST_CASE("attack and evaluate say what is wrong", "[apps][evaluation]") {
    ScratchFolder folder;
    write_data(folder / "data");
    write_model(folder / "model.safetensors");
    const std::string of =
        " --model " + (folder / "model.safetensors") + " --data " + (folder / "data") + " ";
    auto refused = [](const std::string& line, int status, const std::string& says) {
        const Outcome outcome = command(line);
        INFO(line << '\n' << outcome.output);
        CHECK(outcome.status == status);
        CHECK_THAT(outcome.output, Contains(says));
    };
    refused("attack" + of + "--attack pdg", 2, "did you mean pgd?");
    refused("attack" + of + "--eps 8/0", 2, "8/0");
    refused("attack" + of + "--steps many", 2, "many");
    refused("attack" + of + "--json /nowhere/r.json", 4, "/nowhere");
    refused("attack" + of + "--attack shuffled-pdg", 2, "did you mean pgd?");
    refused("attack --data " + (folder / "data"), 2, "--model");
    refused("attack --model /no/such --data " + (folder / "data"), 3, "/no/such");
    refused("attack --model " + (folder / "model.safetensors") + " --data /no/such", 3, "/no/such");
    refused("evaluate" + of + "--suite autoattack --out " + (folder / "out"), 2, "quick or standard");
    refused("evaluate" + of + "--out " + (folder / "model.safetensors"), 4, "folder");
    refused("evaluate" + of, 2, "--out");
    std::filesystem::rename(folder / "data/test/dark_n", folder / "data/test/other");
    std::filesystem::rename(folder / "data/train/dark_n", folder / "data/train/other");
    refused("attack" + of, 3, "bright_aca, other");
}

TEST_CASE("several models answer together, and attacks go through all", "[apps][evaluation][ensemble]") {
    ScratchFolder folder;
    write_data(folder / "data");
    write_model(folder / "a.safetensors");
    write_model(folder / "b.safetensors", 127.4f);
    write_model(folder / "c.safetensors", 131.5f);  // takes the four least bright for dark
    const std::string data = " --data " + (folder / "data");
    auto model = [&](const std::string& name) { return " --model " + (folder / (name + ".safetensors")); };
    const std::string three = model("a") + model("b") + model("c") + data;
    const std::string attack = " --attack fgsm --eps 2/255 --json " + (folder / "r.json");
    auto results = [&](const std::string& voting) {
        const Outcome outcome = command("attack" + three + attack + " --voting " + voting);
        INFO(outcome.output);
        CHECK(outcome.status == 0);
        CHECK_THAT(outcome.output, Contains("a.safetensors: mlp") && Contains("c.safetensors: mlp") &&
                                       Contains("answering together by " + voting));
        return read_results(folder / "r.json");
    };
    // The middle of three thresholds, and their mean, 128.8.
    const Results vote = results("vote"), mean = results("mean-logit");
    CHECK(vote.rows[0].model == "ensemble of 3, vote");
    CHECK(vote.rows[0].accuracy() == Share{30, 30});
    CHECK(vote.rows[1].accuracy() == Share{26, 30});
    CHECK(mean.rows[0].accuracy() == Share{29, 30});
    CHECK(mean.rows[1].accuracy() == Share{26, 30});
    auto fact = [](const Results& of, const std::string& name) {
        for (const auto& [key, value] : of.run)
            if (key == name) return value;
        return std::string();
    };
    CHECK_THAT(fact(vote, "gradient for attacks"), Contains("substitute"));
    CHECK(fact(mean, "gradient for attacks") == "exact");
    CHECK_THAT(fact(mean, "members"), Contains("a.safetensors, ") && Contains("c.safetensors"));
    CHECK_THAT(command("evaluate" + three + " --out " + (folder / "run")).output,
               Contains("answering together by mean-probability") && Contains("pass  V14"));

    auto refused = [&](const std::string& arguments, const std::string& words) {
        const Outcome outcome = command(arguments);
        CHECK(outcome.status == 2);
        CHECK_THAT(outcome.output, Contains(words));
    };
    refused("attack" + model("a") + data + " --voting vote", "several models");
    refused("attack" + three + " --voting votes", "did you mean vote?");
    refused("attack" + model("a") + model("b") + model("a") + data, "twice");
    refused("evaluate --gradient-audit 2 --out x" + three, "one model");
    write_model(folder / "other.safetensors", 127.5f, "night");
    refused("attack" + model("a") + model("other") + data, "night");
}

TEST_CASE("an ensemble is judged on what none of its members learned from", "[apps][evaluation][ensemble]") {
    ScratchFolder folder;
    write_data(folder / "data");
    const std::unique_ptr<Dataset> set = open_dataset(folder / "data");
    std::vector<std::vector<int64_t>> tests, trainings;
    std::string models;
    for (uint64_t seed : {1, 2}) {
        const std::string place = folder / str("m", seed);
        std::filesystem::create_directories(place);
        write_model(place + "/model.safetensors");
        const SplitOptions options{
            .kind = SplitKind::random, .train = 0.3, .val = 0.3, .test = 0.4, .seed = seed};
        const Split split = make_split(*set, options);
        write_split(place + "/split.json", *set, split, options);
        tests.push_back(split.test);
        trainings.push_back(split.train);
        models += " --model " + place + "/model.safetensors";
    }
    int common = 0;
    for (int64_t image : tests[0]) common += std::count(tests[1].begin(), tests[1].end(), image);
    REQUIRE(common > 0);
    REQUIRE(common < static_cast<int>(tests[0].size()));
    const std::string rest = " --data " + (folder / "data") + " --attack fgsm --eps 2/255";
    CHECK_THAT(command("attack" + models + rest).output,
               Contains(str(", less ", tests[0].size() - common,
                            " that are no test images of all members: ", common, " images")) &&
                   Contains("pass  V9"));
    // One that tells nothing of its training: the set's own test images, less the other's training images.
    std::filesystem::remove(folder / "m2/split.json");
    std::filesystem::remove_all(folder / "data/train");
    CHECK_THAT(command("attack" + models + rest).output, Contains("V9") && !Contains("pass  V9"));
    // Nothing is left where one learned from all that the other is judged on.
    const Split swapped{.train = tests[0], .val = {}, .test = trainings[0]};
    write_data(folder / "data");
    write_split(folder / "m2/split.json", *set, swapped, {.kind = SplitKind::random});
    const Outcome none = command("attack" + models + rest);
    CHECK(none.status == 2);
    CHECK_THAT(none.output, Contains("none of the members learned from"));
}
