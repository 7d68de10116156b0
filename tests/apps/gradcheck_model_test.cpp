#include "data/open.hpp"
#include "nn/model_file.hpp"
#include "tests/apps/program.hpp"
#include "tests/scratch_folder.hpp"

#include <catch2/catch.hpp>
#include <fstream>
#include <nlohmann/json.hpp>

using namespace microtome;
using Catch::Contains;

TEST_CASE("gradcheck --model gives a verdict on a model file", "[apps][audit]") {
    ScratchFolder folder;
    const std::string data = folder / "data", model = folder / "model.safetensors";
    REQUIRE(run_program("data synth --out " + data + " --per-class 2 --size 48 --quiet").status == 0);
    ModelCard card{.architecture = "resnet-small",
                   .options = {.image = {.height = 48, .width = 48}, .numbers = {{"channels", 4}}},
                   .classes = open_dataset(data)->classes(),
                   .training = {}};
    card.options.classes = static_cast<int64_t>(card.classes.size());
    const std::unique_ptr<Module> net = make_model(card.architecture, card.options);
    net->initialize(1);
    save_model(model, *net, card);

    const Outcome outcome = run_program("gradcheck --model " + model + " --data " + data +
                                        " --images 2 --steps 4 --json " + (folder / "audit.json"));
    INFO(outcome.output);
    CHECK(outcome.status == 0);
    CHECK_THAT(outcome.output, Contains("pass: at 6 places that the attack visits"));
    std::ifstream file(folder / "audit.json");
    const auto json = nlohmann::json::parse(file);
    CHECK(json["verdict"] == "pass");
    REQUIRE(json["places"].size() == 6);
    for (const auto& place : json["places"]) {
        CHECK(place["worst_relative_error"].get<double>() < 1e-11);
        CHECK(place["same_branches"] == true);
        CHECK(place["directions"].size() == 4);
        CHECK(place["f32_error"].get<double>() <= place["f32_bound"].get<double>());
    }

    CHECK(run_program("gradcheck --model " + model).status == 2);  // on which images?
    CHECK(run_program("gradcheck --model " + model + " --data " + data + " --images 0").status == 2);
    CHECK(run_program("gradcheck --model " + (folder / "none") + " --data " + data).status == 3);

    const Outcome evaluated = run_program("evaluate --model " + model + " --data " + data + " --n 4 --out " +
                                          (folder / "run") + " --gradient-audit 1");
    INFO(evaluated.output);
    CHECK_THAT(evaluated.output, Contains("pass: at 3 places"));
    std::ifstream results(folder / "run/results.json");
    CHECK_THAT(nlohmann::json::parse(results).dump(), Contains("gradient audit"));
}
