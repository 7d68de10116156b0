// A training that is cut short goes on as if nothing had happened.
#include "base/atomic_file.hpp"
#include "base/interrupt.hpp"
#include "nn/safetensors.hpp"
#include "tests/full_disk.hpp"
#include "tests/scratch_folder.hpp"
#include "tests/training/training_test_support.hpp"
#include "training/checkpoint.hpp"
#include "training/early_stopping.hpp"
#include "training/logs.hpp"
#include "training/reduce_lr_on_plateau.hpp"

#include <catch2/catch.hpp>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <spawn.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace microtome;
using namespace microtome::test;
using Catch::Contains;

namespace {

constexpr const char* kFolder = "MICROTOME_TEST_TRAINING";
constexpr const char* kChild = "a training in a process of its own";

struct Settings {
    int64_t epochs = 6;
    double lr = 0.02;
    int64_t raise_at = -1;  // a step after which a signal comes
    bool resume = true;
};

// Raises SIGINT once.
class Interrupt : public Callback {
  public:
    explicit Interrupt(int64_t step) : step_(step) {}
    std::string name() const override { return "interrupt"; }
    void step_ended(TrainingState&, const StepRecord& record) override {
        if (record.step == step_) std::raise(SIGINT);
    }

  private:
    int64_t step_;
};

// Everything a training can have: momentum, an average, a rate that drops, best weights, logs.
TrainingResult train_in(const std::string& folder, const Settings& settings) {
    SmallNet model;
    MemoryBatches train(halves(24), 5), validation(halves(10, 2), 4);
    Adam optimizer(model, {.lr = settings.lr});
    Trainer trainer(model, optimizer,
                    {.epochs = settings.epochs,
                     .seed = 5,
                     .average_decay = 0.8,
                     .checkpoint = folder + "/checkpoint.safetensors",
                     .resume = settings.resume,
                     .config = {{"lr", str(settings.lr)}},
                     .clock = [] { return 0.0; }});
    trainer.add<ReduceLrOnPlateau>(PlateauOptions{.factor = 0.5, .patience = 1, .min_delta = 0.02});
    trainer.add<EarlyStopping>(EarlyStoppingOptions{.patience = 50});
    trainer.add<Logs>(folder);
    trainer.add<Interrupt>(settings.raise_at);
    const TrainingResult result = trainer.run(train, &validation);
    if (result.end != TrainingResult::End::interrupted)
        write_tensors(folder + "/final.safetensors", {model.state(), {}});
    return result;
}

// All that is left behind, but for the checkpoint's zero padding: there is none.
uint64_t hash_of_folder(const std::string& folder) {
    uint64_t hash = kHashSeed;
    for (const char* name : {"checkpoint.safetensors", "final.safetensors", kJsonLog, kCsvLog, kEventLog})
        hash = hash_bytes(read_file(folder + '/' + name, 1 << 20), hash);
    return hash;
}

uint64_t uncut_hash(const Settings& settings) {
    ScratchFolder folder;
    train_in(folder / "", settings);
    return hash_of_folder(folder / "");
}

// This program again, with the hidden test below.
pid_t start_child(const std::string& folder) {
    std::string self = MICROTOME_SELF, test = kChild;
    std::vector<std::string> variables;
    for (char** variable = environ; *variable; ++variable) variables.emplace_back(*variable);
    variables.push_back(str(kFolder, '=', folder));
    variables.emplace_back("OMP_NUM_THREADS=1");
    std::vector<char*> environment;
    for (std::string& variable : variables) environment.push_back(variable.data());
    environment.push_back(nullptr);
    char* arguments[] = {self.data(), test.data(), nullptr};
    posix_spawn_file_actions_t quiet;
    ::posix_spawn_file_actions_init(&quiet);
    ::posix_spawn_file_actions_addopen(&quiet, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    pid_t child = -1;
    const int error = ::posix_spawn(&child, self.c_str(), &quiet, nullptr, arguments, environment.data());
    ::posix_spawn_file_actions_destroy(&quiet);
    REQUIRE(error == 0);
    return child;
}

constexpr Settings kLong{.epochs = 15};

}  // namespace

TEST_CASE(kChild, "[.]") {
    if (const char* folder = std::getenv(kFolder)) train_in(folder, kLong);
}

TEST_CASE("killed at any moment and resumed, a training ends with the same bits", "[training][resume]") {
    const uint64_t uncut = uncut_hash(kLong);
    auto ended = [](pid_t child) {
        int status = 0;
        REQUIRE(::waitpid(child, &status, 0) == child);
        if (WIFEXITED(status)) REQUIRE(WEXITSTATUS(status) == 0);
        return WIFEXITED(status);
    };
    std::chrono::microseconds whole{};
    {
        ScratchFolder folder;
        const auto began = std::chrono::steady_clock::now();
        REQUIRE(ended(start_child(folder / "")));
        whole =
            std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - began);
    }
    // Killed twice in what a whole training takes, then left to finish, until there were kills enough, some
    // of them with a checkpoint behind them. How many trainings that takes depends on the machine.
    int64_t killed = 0, killed_midway = 0;
    uint64_t state = 2024;
    for (int round = 0; killed < 20 || killed_midway < 5; ++round) {
        INFO("round " << round);
        REQUIRE(round < 500);
        ScratchFolder folder;
        for (int start = 0;; ++start) {
            const bool midway = std::filesystem::exists(folder / "checkpoint.safetensors");
            const pid_t child = start_child(folder / "");
            if (start < 2) {
                state = state * 6364136223846793005u + 1442695040888963407u;
                std::this_thread::sleep_for(whole * static_cast<int64_t>(state >> 54) / 1024);
                ::kill(child, SIGKILL);
            }
            if (ended(child)) break;
            ++killed;
            killed_midway += midway;
        }
        CHECK(hash_of_folder(folder / "") == uncut);
    }
}

TEST_CASE("an interruption after any step saves, and the training goes on bit for bit",
          "[training][resume]") {
    const Settings settings{.epochs = 3};
    const uint64_t uncut = uncut_hash(settings);
    for (int64_t step = 0; step < 15; ++step) {
        INFO("after step " << step);
        ScratchFolder folder;
        {
            InterruptGuard guard;
            Settings cut = settings;
            cut.raise_at = step;
            const TrainingResult result = train_in(folder / "", cut);
            CHECK(result.end == TrainingResult::End::interrupted);
            CHECK(result.steps == step + 1);
            CHECK(read_checkpoint(folder / "checkpoint.safetensors").progress.step == step + 1);
        }
        InterruptGuard guard;
        CHECK(train_in(folder / "", settings).end == TrainingResult::End::completed);
        CHECK(hash_of_folder(folder / "") == uncut);
    }
}

TEST_CASE("a finished training that is resumed gives its result again", "[training][resume]") {
    ScratchFolder folder;
    train_in(folder / "", {});
    const uint64_t before = hash_of_folder(folder / "");
    const TrainingResult again = train_in(folder / "", {});
    CHECK(again.end == TrainingResult::End::completed);
    CHECK(again.history.size() == 6);
    CHECK(hash_of_folder(folder / "") == before);
}

TEST_CASE("a training that goes on must be told what it was told", "[training][resume]") {
    ScratchFolder folder;
    train_in(folder / "", {});
    const uint64_t before = hash_of_folder(folder / "");
    CHECK_THROWS_AS(train_in(folder / "", {.lr = 0.03}), OptionsError);
    CHECK_THROWS_WITH(train_in(folder / "", {.lr = 0.03}),
                      Contains("expected lr as the training began with, '0.02', got '0.03'"));
    CHECK_THROWS_WITH(train_in(folder / "", {.epochs = 7}),
                      Contains("trainer.epochs as the training began with, '6', got '7'"));
    CHECK_THROWS_WITH(train_in(folder / "", {.resume = false}),
                      Contains("expected no checkpoint of an earlier training"));
    CHECK(hash_of_folder(folder / "") == before);
}

TEST_CASE("a full disk during a checkpoint loses nothing", "[training][resume]") {
    const uint64_t uncut = uncut_hash({});
    ScratchFolder folder;
    // Fills the disk when the third epoch is over.
    class Fill : public Callback {
      public:
        std::string name() const override { return "interrupt"; }
        void step_ended(TrainingState&, const StepRecord& record) override {
            if (record.epoch == 3) full = std::make_unique<FullDisk>(3000);
        }
        std::unique_ptr<FullDisk> full;
    };
    {
        SmallNet model;
        MemoryBatches train(halves(24), 5), validation(halves(10, 2), 4);
        Adam optimizer(model, {.lr = 0.02});
        Trainer trainer(model, optimizer,
                        {.epochs = 6,
                         .seed = 5,
                         .average_decay = 0.8,
                         .checkpoint = folder / "checkpoint.safetensors",
                         .config = {{"lr", "0.02"}},
                         .clock = [] { return 0.0; }});
        trainer.add<ReduceLrOnPlateau>(PlateauOptions{.factor = 0.5, .patience = 1, .min_delta = 0.02});
        trainer.add<EarlyStopping>(EarlyStoppingOptions{.patience = 50});
        trainer.add<Logs>(folder / "");
        Fill& fill = trainer.add<Fill>();
        std::string message;
        try {
            trainer.run(train, &validation);
        } catch (const IoError& error) {
            message = error.what();
        }
        fill.full.reset();
        CHECK_THAT(message, Contains("epoch 3 could not be saved") && Contains("checkpoint.safetensors") &&
                                Contains("nothing before it is lost") && Contains("resume"));
    }
    CHECK(read_checkpoint(folder / "checkpoint.safetensors").progress.epoch == 2);
    train_in(folder / "", {});
    CHECK(hash_of_folder(folder / "") == uncut);
}

TEST_CASE("checkpoints come back as they were written, and others are refused", "[training][resume]") {
    ScratchFolder folder;
    const std::string file = folder / "c.safetensors";
    Checkpoint checkpoint{
        .progress = {.epoch = 1, .batch = 2, .step = 9, .images = 8, .loss = 0.1, .seconds = 3},
        .finished = true,
        .why = "a \"reason\"",
        .history = {{.epoch = 1,
                     .step = 7,
                     .loss = 1.0 / 3,
                     .val_loss = 2.5,
                     .lr = 1e-3,
                     .seconds = 2,
                     .ended = 1.75e9,
                     .metrics = {{"auc", 0.5}}}},
        .config = {{"a", "b"}},
        .tensors = {{"model.w", Tensor::of({1.0f, 2.0f}, {2})}}};
    write_checkpoint(file, checkpoint);
    const Checkpoint back = read_checkpoint(file);
    CHECK(back.progress == checkpoint.progress);
    CHECK(back.finished);
    CHECK(back.why == checkpoint.why);
    CHECK(back.history == checkpoint.history);
    CHECK(back.config == checkpoint.config);
    REQUIRE(back.tensors.size() == 1);
    CHECK(identical(back.tensors[0].tensor, checkpoint.tensors[0].tensor));

    CHECK_THROWS_AS(read_checkpoint(folder / "none"), MissingFileError);
    auto refuse = [&](const std::string& json, const std::string& why) {
        write_tensors(file, {{}, {{"microtome.training", json}}});
        CHECK_THROWS_AS(read_checkpoint(file), FormatError);
        CHECK_THROWS_WITH(read_checkpoint(file), Contains(why));
    };
    refuse("{", "expected the state of a training");
    refuse("[]", "expected the state of a training");
    refuse("{\"format\":2}", "format 1, got 2");
    refuse("{\"format\":1,\"epoch\":-1}", "0 or more for epoch");
    checkpoint.history.clear();
    write_checkpoint(file, checkpoint);
    CHECK_THROWS_WITH(read_checkpoint(file), Contains("a record for each of 1 epochs, got 0"));
    write_tensors(file, {checkpoint.tensors, {}});
    CHECK_THROWS_WITH(read_checkpoint(file), Contains("expected a checkpoint of a training"));

    // A checkpoint of another model is not half loaded.
    write_checkpoint(folder / "checkpoint.safetensors", {});
    CHECK_THROWS_AS(train_in(folder / "", {}), OptionsError);
}
