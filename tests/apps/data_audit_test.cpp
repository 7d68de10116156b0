// `microtome data audit` from outside.
#include "base/atomic_file.hpp"
#include "data/image.hpp"
#include "tensor/random.hpp"
#include "tests/scratch_folder.hpp"

#include <catch2/catch.hpp>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sys/wait.h>

using namespace microtome;
using Catch::Contains;

namespace {

struct Outcome {
    int status;
    std::string output;  // both streams
};

Outcome audit_command(const std::string& arguments) {
    const std::string line = "'" MICROTOME_PROGRAM "' data audit --quiet " + arguments + " 2>&1 </dev/null";
    std::FILE* pipe = ::popen(line.c_str(), "r");
    REQUIRE(pipe);
    Outcome outcome;
    for (int c; (c = std::fgetc(pipe)) != EOF;) outcome.output += static_cast<char>(c);
    const int status = ::pclose(pipe);
    outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return outcome;
}

// A picture of its own for each seed, written at `path` below the folder.
void add(const ScratchFolder& folder, const std::string& path, uint64_t seed) {
    const std::string file = folder / path;
    std::filesystem::create_directories(std::filesystem::path(file).parent_path());
    std::vector<float> draws(24 * 24);
    fill_uniform({.seed = seed}, draws);
    write_png(file, Tensor::of(draws, {24, 24, 1}));
}

}  // namespace

TEST_CASE("data audit: a set whose test images are not in train passes", "[apps][audit]") {
    ScratchFolder folder;
    for (uint64_t i = 0; i < 6; ++i) add(folder, str("set/train/", i % 3 ? "dog" : "ant", "/", i, ".png"), i);
    for (uint64_t i = 6; i < 9; ++i) add(folder, str("set/test/", i % 3 ? "dog" : "ant", "/", i, ".png"), i);
    add(folder, "set/val/ant/0.png", 0);  // validation in train is told, and no leak of test
    const Outcome outcome =
        audit_command("--data " + (folder / "set") + " --json " + (folder / "audit.json"));
    CAPTURE(outcome.output);
    CHECK(outcome.status == 0);
    CHECK_THAT(outcome.output, Contains("10 images") &&
                                   Contains("always answering dog would be right for 66.7 %") &&
                                   Contains("val in train: 1 of 1") && Contains("No test image is in train"));
    const auto json = nlohmann::json::parse(read_file(folder / "audit.json", 1 << 20));
    CHECK(json["pass"] == true);
    CHECK(json["images"] == 10);
    CHECK(json["classes"]["ant"] == 4);
    CHECK(json["leaks"][2]["same_pixels"] == 1);
    CHECK(json["leaks"][2]["pairs"][0] == nlohmann::json({"val/ant/0.png", "train/ant/0.png"}));
}

TEST_CASE("data audit: a test image that is in train is status 1", "[apps][audit]") {
    ScratchFolder folder;
    for (uint64_t i = 0; i < 6; ++i) add(folder, str("set/train/", i % 2 ? "dog" : "ant", "/", i, ".png"), i);
    for (uint64_t i = 5; i < 9; ++i) add(folder, str("set/test/", i % 2 ? "dog" : "ant", "/", i, ".png"), i);
    const Outcome outcome =
        audit_command("--data " + (folder / "set") + " --json " + (folder / "audit.json"));
    CAPTURE(outcome.output);
    CHECK(outcome.status == 1);
    CHECK_THAT(outcome.output, Contains("test in train: 1 of 4 (25.0 %)") && Contains("LEAK"));
    CHECK(nlohmann::json::parse(read_file(folder / "audit.json", 1 << 20))["pass"] == false);

    // Groups of a file leak as well.
    write_file(folder / "groups.csv", "file,group\ntrain/ant/0.png,p\ntest/ant/6.png,p\n");
    CHECK_THAT(audit_command("--data " + (folder / "set") + " --groups " + (folder / "groups.csv")).output,
               Contains("test in train: 2 of 4") && Contains("1 of a shared group"));

    // Another split of the same images may be sound.
    write_file(folder / "split.json", R"({"format": 1, "kind": "random", "seed": 0,
        "shares": {"train": 0.8, "val": 0.1, "test": 0.1}, "limits_per_class": {"train": -1, "val": -1, "test": -1},
        "dataset": {"listing": ""}, "train": ["train/ant/0.png", "train/dog/5.png"], "val": [],
        "test": ["train/ant/2.png"]})");
    const Outcome sound = audit_command("--data " + (folder / "set") + " --split " + (folder / "split.json"));
    CAPTURE(sound.output);
    CHECK(sound.status == 0);
    CHECK_THAT(sound.output, Contains("test in train: 0 of 1"));
}

TEST_CASE("data audit: of a set without parts it says what a random split would leak", "[apps][audit]") {
    ScratchFolder folder;
    for (uint64_t i = 0; i < 40; ++i)
        add(folder, str("set/", i % 2 ? "dog" : "ant", "/", i, ".png"), i / 4 * 2 + i % 2);
    const Outcome outcome =
        audit_command("--data " + (folder / "set") + " --write-groups " + (folder / "groups.csv"));
    CAPTURE(outcome.output);
    CHECK(outcome.status == 0);
    CHECK_THAT(outcome.output, Contains("After a random 80/10/10 split") && Contains("leaks 0.0 %"));
    const std::string groups = read_file(folder / "groups.csv", 1 << 20);
    CHECK_THAT(groups, Contains("ant/2.png,ant/0.png\n") && Contains("ant/0.png,ant/0.png\n"));
    CHECK(audit_command("--data " + (folder / "set") + " --groups " + (folder / "groups.csv")).status == 0);
}

TEST_CASE("data audit: damaged images are listed, and with --strict status 3", "[apps][audit]") {
    ScratchFolder folder;
    for (uint64_t i = 0; i < 6; ++i) add(folder, str("set/", i % 2 ? "dog" : "ant", "/", i, ".png"), i);
    write_file(folder / "set/ant/text.png", "this is no picture");
    write_file(folder / "set/dog/empty.jpeg", "");
    const Outcome outcome = audit_command("--data " + (folder / "set"));
    CAPTURE(outcome.output);
    CHECK(outcome.status == 0);
    CHECK_THAT(outcome.output,
               Contains("damaged images      2") && Contains("ant/text.png") && Contains("dog/empty.jpeg"));
    CHECK(audit_command("--data " + (folder / "set") + " --strict").status == 3);
    CHECK(audit_command("--data " + (folder / "nowhere")).status == 3);
    CHECK(audit_command("").status == 2);
}
