// The callbacks on the learning curve of the lung and colon study, whose trace is known epoch by epoch.
#include "tests/scratch_folder.hpp"
#include "tests/training/training_test_support.hpp"
#include "training/best_model.hpp"
#include "training/early_stopping.hpp"
#include "training/reduce_lr_on_plateau.hpp"

#include <catch2/catch.hpp>
#include <limits>

using namespace microtome;
using namespace microtome::test;
using Catch::Contains;

namespace {

const std::vector<double> kValLosses{1.5559, 3.8530, 3.2907, .4871, 1.0252, .7569, .1992, .5085, .1056,
                                     .1679,  .1808,  .1141,  .0956, .0954,  .1060, .0854, .0864, .0842,
                                     .0850,  .1030,  .0840,  .0836, .0848,  .0846, .0846, .0850, .0850};

ModelOptions small_options() {
    return {.classes = 2, .image = {.height = 4, .width = 4, .channels = 1}, .numbers = {{"width", 3}}};
}

// What each epoch left behind.
class Notes : public Callback {
  public:
    std::string name() const override { return "notes"; }
    void epoch_ended(TrainingState& training, EpochRecord&) override {
        hashes.push_back(state_hash(training.model));
        rates.push_back(training.optimizer.learning_rate());
    }
    std::vector<uint64_t> hashes;
    std::vector<double> rates;
};

struct Trace {
    std::vector<int64_t> drops, written;
    std::vector<double> rates;
    std::vector<uint64_t> hashes;
    TrainingResult result;
    uint64_t final_hash = 0;
};

// The study's callbacks in a training whose validation losses are given.
Trace golden(double min_delta, bool restore_best = true, std::vector<double> val_losses = kValLosses) {
    ScratchFolder folder;
    const std::string file = folder / "best.safetensors";
    auto model = make_model("mlp", small_options());
    model->initialize(1);
    MemoryBatches train(halves(4), 2);
    Adam optimizer(*model, {.lr = 1e-3});
    Trainer trainer(*model, optimizer, {.epochs = 40});
    Trace trace;
    trainer.add<Script>(std::move(val_losses));
    trainer.add<EarlyStopping>(EarlyStoppingOptions{.restore_best = restore_best});
    trainer.add<ReduceLrOnPlateau>(PlateauOptions{.factor = 0.3, .patience = 2, .min_delta = min_delta});
    trainer.add<BestModel>(BestModelOptions{
        .path = file,
        .card = {.architecture = "mlp", .options = small_options(), .classes = {"a", "b"}, .training = {}},
        .written = [&](const EpochRecord& record) { trace.written.push_back(record.epoch); }});
    Notes& notes = trainer.add<Notes>();
    trace.result = trainer.run(train);
    for (std::size_t i = 0; i < notes.rates.size(); ++i)
        if (notes.rates[i] != (i == 0 ? 1e-3 : notes.rates[i - 1]))
            trace.drops.push_back(static_cast<int64_t>(i) + 1);
    trace.rates = notes.rates;
    trace.hashes = notes.hashes;
    trace.final_hash = state_hash(*model);

    // The file is the model of the epoch it was written after, and says so.
    const LoadedModel best = load_model(file);
    CHECK(state_hash(*best.model) == trace.hashes.at(static_cast<std::size_t>(trace.written.back() - 1)));
    CHECK(best.card.training.at("epoch") == std::to_string(trace.written.back()));
    CHECK(std::stod(best.card.training.at("val_loss")) ==
          trace.result.history[static_cast<std::size_t>(trace.written.back() - 1)].val_loss);
    return trace;
}

}  // namespace

TEST_CASE("the study's callbacks do what they did in the study", "[training][callbacks]") {
    const Trace trace = golden(1e-3);
    CHECK(trace.drops == std::vector<int64_t>{3, 6, 11, 15, 20, 22, 24, 26});
    const std::vector<double> rates{3e-4, 9e-5, 2.7e-5, 8.1e-6, 2.43e-6, 7.29e-7, 2.187e-7, 6.561e-8};
    for (std::size_t i = 0; i < trace.drops.size(); ++i) {
        INFO("after epoch " << trace.drops[i]);
        CHECK(trace.rates.at(static_cast<std::size_t>(trace.drops[i] - 1)) ==
              Approx(rates.at(i)).epsilon(1e-12));
    }
    CHECK(trace.result.end == TrainingResult::End::stopped);
    CHECK_THAT(trace.result.why, Contains("best in epoch 22"));
    REQUIRE(trace.result.history.size() == 27);
    CHECK(trace.result.history[2].lr == 1e-3);  // the rate it was trained at, not the one it led to
    CHECK(trace.result.history[3].lr == Approx(3e-4));
    CHECK(trace.final_hash == trace.hashes.at(21));
    CHECK(trace.final_hash != trace.hashes.at(26));
    CHECK(trace.written == std::vector<int64_t>{1, 4, 7, 9, 13, 14, 16, 18, 21, 22});
}

TEST_CASE("a smaller min_delta drops the rate less often on the same curve", "[training][callbacks]") {
    for (double min_delta : {1e-4, 0.0}) {
        INFO("min_delta " << min_delta);
        CHECK(golden(min_delta).drops == std::vector<int64_t>{3, 6, 11, 20, 24, 26});
    }
}

TEST_CASE("the best weights come back also when no epoch is left, unless nobody wants them",
          "[training][callbacks]") {
    std::vector<double> rising(40, 1.0);
    for (std::size_t i = 0; i < rising.size(); ++i) rising[i] = i % 4 == 1 ? 0.9 - 0.001 * double(i) : 1.0;
    const Trace to_the_end = golden(1e-3, true, rising);
    CHECK(to_the_end.result.end == TrainingResult::End::completed);
    CHECK(to_the_end.final_hash == to_the_end.hashes.at(37));
    const Trace last = golden(1e-3, false);
    CHECK(last.final_hash == last.hashes.at(26));
}

TEST_CASE("callbacks go on from their state as if nothing had happened", "[training][callbacks]") {
    SmallNet model;
    Sgd optimizer(model, {.lr = 1});
    std::vector<EpochRecord> history;
    TrainingState whole{.model = model, .optimizer = optimizer, .history = history, .epochs = 40};
    auto feed = [&](Callback& callback, std::size_t from, std::size_t to) {
        for (std::size_t i = from; i < to; ++i) {
            EpochRecord record{.epoch = static_cast<int64_t>(i) + 1, .val_loss = kValLosses[i]};
            callback.epoch_ended(whole, record);
        }
    };
    const PlateauOptions plateau{.factor = 0.3, .patience = 2, .min_delta = 1e-3, .cooldown = 1};
    for (std::size_t cut = 0; cut <= kValLosses.size(); ++cut) {
        INFO("cut after " << cut << " epochs");
        optimizer.set_learning_rate(1);
        ReduceLrOnPlateau uncut(plateau);
        feed(uncut, 0, kValLosses.size());
        const double expected = optimizer.learning_rate();
        optimizer.set_learning_rate(1);
        ReduceLrOnPlateau before(plateau), after(plateau);
        feed(before, 0, cut);
        after.restore(before.state());
        feed(after, cut, kValLosses.size());
        CHECK(optimizer.learning_rate() == expected);

        EarlyStopping first, second;
        feed(first, 0, cut);
        second.restore(first.state());
        whole.stop = false;
        feed(second, cut, kValLosses.size() - 1);
        CHECK_FALSE(whole.stop);
        feed(second, kValLosses.size() - 1, kValLosses.size());
        CHECK(whole.stop);
        CHECK(second.best_epoch() == 22);
    }
}

TEST_CASE("a callback's state that cannot be is refused", "[training][callbacks]") {
    EarlyStopping stopping;
    CHECK_THROWS_AS(stopping.restore({}), FormatError);
    CHECK_THROWS_AS(stopping.restore({numbers_entry("tracker", {1, 2})}), FormatError);
    CHECK_THROWS_AS(stopping.restore({numbers_entry("tracker", {1, 5, 3, 0})}), OptionsError);
    CHECK_THROWS_WITH(stopping.restore({numbers_entry("tracker", {1, 3, 3, 0})}), Contains("best epoch"));
    ReduceLrOnPlateau reduce;
    CHECK_THROWS_AS(reduce.restore({numbers_entry("tracker", {1, 3, 3, 0}), numbers_entry("cooling", {-1})}),
                    OptionsError);
}

TEST_CASE("the best model may be the one of the largest value", "[training][callbacks]") {
    ScratchFolder folder;
    auto model = make_model("mlp", small_options());
    model->initialize(1);
    Sgd optimizer(*model);
    std::vector<int64_t> written;
    BestModel best(
        {.path = folder / "m.safetensors",
         .card = {.architecture = "mlp", .options = small_options(), .classes = {"a", "b"}, .training = {}},
         .monitor = "auc",
         .larger_is_better = true,
         .written = [&](const EpochRecord& record) { written.push_back(record.epoch); }});
    std::vector<EpochRecord> history;
    TrainingState state{.model = *model, .optimizer = optimizer, .history = history, .epochs = 5};
    int64_t epoch = 0;
    for (double auc : {0.5, 0.4, 0.7, 0.7, 0.8}) {
        EpochRecord record{.epoch = ++epoch, .metrics = {{"auc", auc}}};
        best.epoch_ended(state, record);
    }
    CHECK(written == std::vector<int64_t>{1, 3, 5});
    EpochRecord without{.epoch = 6};
    CHECK_THROWS_AS(best.epoch_ended(state, without), OptionsError);
}
