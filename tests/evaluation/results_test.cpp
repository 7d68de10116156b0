#include "evaluation/results.hpp"

#include "base/atomic_file.hpp"
#include "base/error.hpp"
#include "tests/full_disk.hpp"
#include "tests/scratch_folder.hpp"

#include <array>
#include <catch2/catch.hpp>
#include <cmath>
#include <nlohmann/json.hpp>

using namespace microtome;
using Catch::Contains;

namespace {

Results sample() {
    Results results;
    results.run = {{"data", "somewhere"}, {"images", "the set's test part"}};
    results.seed = 7;
    results.rows.push_back(
        {.model = "a.safetensors", .n = 10, .n_correct = 8, .n_clean_correct = 8, .n_correct_8bit = 8});
    results.rows.push_back({.model = "a.safetensors",
                            .attack = "pgd",
                            .options = {{"steps", "20"}, {"epsilon", "8/255 (0.031373)"}},
                            .epsilon = 8.0 / 255,
                            .n = 10,
                            .n_correct = 3,
                            .n_clean_correct = 8,
                            .n_success = 5,
                            .n_correct_8bit = 4,
                            .n_unchanged = 1,
                            .malignant_turned = {2, 3},
                            .forward_passes = 210,
                            .backward_passes = 200,
                            .seconds = 1.5,
                            .mode = "tape",
                            .witnesses = "witnesses/pgd"});
    results.rails = {{.id = "V1", .pass = true, .value = 0, .text = "fine"},
                     {.id = "V5", .pass = false, .value = .5, .text = "not fine"}};
    results.rails_not_run = {{"V9", "nobody knows the training images"}};
    results.metrics.push_back(measure("a.safetensors", {"x_aca", "x_n"}, {1, 0},
                                      Tensor::of<float>({1, 0, 0, 1, 2, 0}, {3, 2}),
                                      std::vector<int64_t>{0, 0, 1}));
    return results;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
    const std::size_t at = text.find(from);
    REQUIRE(at != std::string::npos);
    return text.replace(at, from.size(), to);
}

}  // namespace

TEST_CASE("results have the documented fields", "[evaluation][results]") {
    const nlohmann::json json = nlohmann::json::parse(to_json(sample()));
    const nlohmann::json& row = json.at("rows").at(1);
    CHECK(row.at("model") == "a.safetensors");
    CHECK(row.at("attack") == "pgd");
    CHECK(row.at("options").at("steps") == "20");
    CHECK(row.at("epsilon") == 8.0 / 255);
    CHECK(row.at("n") == 10);
    CHECK(row.at("n_correct") == 3);
    CHECK(row.at("accuracy") == .3);
    CHECK(row.at("wilson").at(0) == wilson(3, 10).low);
    CHECK(row.at("wilson").at(1) == wilson(3, 10).high);
    CHECK(row.at("forward_passes") == 210);
    CHECK(row.at("backward_passes") == 200);
    CHECK(row.at("seconds") == 1.5);
    CHECK(row.at("mode") == "tape");
    CHECK(row.at("malignant_turned_benign") == nlohmann::json{{"count", 2}, {"n", 3}});
    CHECK(json.at("rows").at(0).at("attack") == "none");
    CHECK(json.at("rails").at(1) ==
          nlohmann::json{{"id", "V5"}, {"pass", false}, {"value", .5}, {"text", "not fine"}});
    CHECK(json.at("metrics").at(0).at("confusion") == nlohmann::json{{1, 1}, {1, 0}});
    CHECK(json.at("metrics").at(0).at("majority_baseline").at("class") == "x_aca");
    CHECK(json.at("metrics").at(0).at("malignant_called_benign").at("count") == 1);
}

TEST_CASE("results come back as they were written", "[evaluation][results]") {
    ScratchFolder folder;
    const Results before = sample();
    write_results(folder / "results.json", before);
    const Results after = read_results(folder / "results.json");
    CHECK(to_json(after) == to_json(before));
    CHECK(after.rows == before.rows);
    CHECK(after.rails == before.rails);
    CHECK(after.metrics[0].confusion == before.metrics[0].confusion);
    CHECK_FALSE(after.pass());
    {
        FullDisk full(100);
        CHECK_THROWS_AS(write_results(folder / "results.json", before), IoError);
    }
    CHECK(read_results(folder / "results.json").seed == 7);
    CHECK(folder.names() == std::vector<std::string>{"results.json"});
    CHECK_THROWS_AS(read_results(folder / "nothing.json"), MissingFileError);
}

TEST_CASE("results that contradict themselves are refused", "[evaluation][results]") {
    const std::string good = to_json(sample());
    CHECK_NOTHROW(results_of_json(good, "r"));
    for (auto [from, to, says] : {
             std::array{"\"accuracy\": 0.3", "\"accuracy\": 0.4", "0.3"},
             std::array{"\"n_correct\": 3", "\"n_correct\": 11", "at most n = 10"},
             std::array{"\"n_correct\": 3", "\"n_correct\": -3", "whole number"},
             std::array{"\"n_correct\": 3", "\"n_correct\": 3.5", "whole number"},
             std::array{"\"n_success\": 5", "\"n_success\": 9", "n_clean_correct"},
             std::array{"\"count\": 2", "\"count\": 4", "malignant_turned_benign"},
             std::array{"\"pass\": false", "\"pass\": 1", "boolean"},
             std::array{"\"wilson\"", "\"wilsom\"", "wilson"},
             std::array{"\"format\": 1", "\"format\": 2", "newer"},
             std::array{"\"seed\": 7", "\"seed\": \"7\"", "seed"},
             std::array{"\"rows\": [", "\"rows\": [3,", "type"},
         })
        CHECK_THROWS_WITH(results_of_json(replaced(good, from, to), "r.json"),
                          Contains("[r.json]") && Contains(says));
    const std::string low = str("\"wilson\": [\n        ", nlohmann::json(wilson(3, 10).low).dump());
    CHECK_THROWS_WITH(results_of_json(replaced(good, low, "\"wilson\": [\n        0.2"), "r"),
                      Contains("wilson"));
    // Cut short anywhere, and any other JSON.
    for (std::size_t size = 0; size + 2 < good.size(); size += 97)
        CHECK_THROWS_AS(results_of_json(good.substr(0, size), "r"), FormatError);
    for (const char* other : {"", "null", "[]", "3", "{\"format\": 1}", "\x80"})
        CHECK_THROWS_AS(results_of_json(other, "r"), FormatError);
    CHECK_THROWS_AS(results_of_json(std::string(200000, '['), "r"), FormatError);
    CHECK_THROWS_AS(
        results_of_json(replaced(good, "\"confusion\": [\n        [", "\"confusion\": [\n        [5,"), "r"),
        FormatError);
}

TEST_CASE("tables for people", "[evaluation][results]") {
    const std::string rows = table_of(sample().rows);
    CHECK_THAT(rows, Contains("none") && Contains("0.8000") && Contains("8.00/255") && Contains("3/10") &&
                         Contains("5 of 8"));
    const Results results = sample();
    CHECK_THAT(table_of(results.rails, results.rails_not_run),
               Contains("pass  V1") && Contains("FAIL  V5") && Contains("V9   not run: nobody"));
}
