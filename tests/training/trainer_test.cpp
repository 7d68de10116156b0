#include "training/trainer.hpp"

#include "autograd/ops.hpp"
#include "nn/classifier.hpp"
#include "tests/training/training_test_support.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

using namespace microtome;
using namespace microtome::test;
using Catch::Contains;

namespace {

TrainingResult train_small(uint64_t seed, TrainerOptions options, SmallNet& model) {
    MemoryBatches train(halves(20), 6), validation(halves(10, 2), 4);
    Adam optimizer(model, {.lr = 0.01});
    options.seed = seed;
    return Trainer(model, optimizer, options).run(train, &validation);
}

}  // namespace

TEST_CASE("a training lowers the loss and says how it went, epoch by epoch", "[training]") {
    SmallNet model;
    const TrainingResult result = train_small(1, {.epochs = 12}, model);
    CHECK(result.end == TrainingResult::End::completed);
    REQUIRE(result.history.size() == 12);
    CHECK(result.steps == 12 * 4);
    const EpochRecord &first = result.history.front(), &last = result.history.back();
    CHECK(first.epoch == 1);
    CHECK(first.step == 4);
    CHECK(last.epoch == 12);
    CHECK(last.step == 48);
    CHECK(last.loss < 0.5 * first.loss);
    CHECK(last.accuracy.value() > 0.9);
    CHECK(last.lr == 0.01);
    CHECK_FALSE(model.training());

    // What the last epoch measured is what the model now gives.
    MemoryBatches validation(halves(10, 2), 7);
    const Scores scores = score(model, validation);
    CHECK(scores.images == 10);
    CHECK(scores.accuracy() == last.val_accuracy);
    CHECK(scores.loss == Approx(last.val_loss.value()).epsilon(1e-12));
}

TEST_CASE("the first step of a training is the step that the tape and the optimizer make", "[training]") {
    SmallNet trained, expected;
    const Batch batch = halves(6);
    MemoryBatches source(batch, 6);
    Sgd optimizer(trained, {.lr = 0.1}), same(expected, {.lr = 0.1});
    const TrainingResult result = Trainer(trained, optimizer, {.epochs = 1, .seed = 3}).run(source);

    expected.train();
    Tape tape;
    tape.watch(expected.parameters());
    const Tensor losses =
        cross_entropy(expected(batch.images, {.seed = 3, .step = 0, .ids = batch.ids}), batch.targets);
    same.step(tape.gradient(mean(losses), expected.parameters()));
    CHECK(state_hash(trained) == state_hash(expected));
    CHECK(result.history[0].loss == Approx(mean(losses).item()).epsilon(1e-6));
    CHECK_FALSE(result.history[0].val_loss.has_value());
}

TEST_CASE("the same seed gives the same losses for any number of threads, another seed others",
          "[training]") {
    auto trace = [](uint64_t seed, int threads) {
        ThreadLimit limit(threads);
        SmallNet model;
        return losses_of(train_small(seed, {.epochs = 3, .average_decay = 0.9}, model).history);
    };
    const std::vector<double> once = trace(1, 1);
    CHECK(trace(1, 1) == once);
    CHECK(trace(1, 2) == once);
    CHECK(trace(2, 1) != once);
}

TEST_CASE("a schedule sets the rate of each step, or of each epoch", "[training]") {
    class Rates : public Callback {
      public:
        std::string name() const override { return "rates"; }
        void step_ended(TrainingState&, const StepRecord& record) override { rates.push_back(record.lr); }
        std::vector<double> rates;
    };
    auto rates = [](bool by_epoch) {
        SmallNet model;
        MemoryBatches train(halves(4), 2);
        Sgd optimizer(model);
        Trainer trainer(
            model, optimizer,
            {.epochs = 2, .schedule = step_schedule(0.08, 1, 0.5), .schedule_by_epoch = by_epoch});
        Rates& callback = trainer.add<Rates>();
        const TrainingResult result = trainer.run(train);
        CHECK(result.history.back().lr == callback.rates.back());
        return callback.rates;
    };
    CHECK(rates(false) == std::vector<double>{0.08, 0.04, 0.02, 0.01});
    CHECK(rates(true) == std::vector<double>{0.08, 0.08, 0.04, 0.04});
}

TEST_CASE("clipped gradients move the weights no farther than the norm allows", "[training]") {
    auto distance = [](double clip_norm) {
        SmallNet model, before;
        MemoryBatches train(halves(6), 6);
        Sgd optimizer(model, {.lr = 1});
        Trainer(model, optimizer, {.epochs = 1, .clip_norm = clip_norm}).run(train);
        double squares = 0;
        const Tensors now = model.parameters(), then = before.parameters();
        for (std::size_t i = 0; i < now.size(); ++i)
            for (std::size_t k = 0; k < now[i].data<float>().size(); ++k)
                squares += std::pow(now[i].data<float>()[k] - then[i].data<float>()[k], 2);
        return std::sqrt(squares);
    };
    CHECK(distance(0) > 0.1);
    CHECK(distance(0.01) == Approx(0.01).epsilon(1e-4));
}

TEST_CASE("with an average the model ends as the average of its weights, and is validated so", "[training]") {
    SmallNet averaged, plain;
    const TrainingResult result = train_small(1, {.epochs = 3, .average_decay = 0.9}, averaged);
    const TrainingResult without = train_small(1, {.epochs = 3}, plain);
    CHECK(losses_of(result.history) == losses_of(without.history));  // it does not disturb the training
    CHECK(state_hash(averaged) != state_hash(plain));
    MemoryBatches validation(halves(10, 2), 4);
    CHECK(score(averaged, validation).loss == result.history.back().val_loss);
}

TEST_CASE("objectives and metrics of one's own", "[training]") {
    SmallNet model;
    MemoryBatches train(halves(8), 4), validation(halves(6, 2), 4);
    Adam optimizer(model);
    int64_t trained = 0, validated = 0;
    auto counting = [](int64_t& count) {
        return [&count](Module& m, const Batch& batch, const Pass& pass) {
            ++count;
            return 2.0 * cross_entropy(m(batch.images, pass), batch.targets);
        };
    };
    TrainerOptions options{
        .epochs = 2, .objective = counting(trained), .validation_objective = counting(validated)};
    options.metrics["rows"] = [](const Tensor& logits, const Tensor& targets) {
        CHECK(logits.shape() == Shape{6, 2});
        CHECK(targets.shape() == Shape{6});
        return 6.0;
    };
    const TrainingResult result = Trainer(model, optimizer, options).run(train, &validation);
    CHECK(trained == 4);
    CHECK(validated == 4);
    CHECK(result.history[1].metrics.at("rows") == 6);
    CHECK(result.history[1].val_loss.value() == Approx(2 * score(model, validation).loss));

    auto one_number = [](Module& m, const Batch& b, const Pass& p) { return mean(m(b.images, p)); };
    CHECK_THROWS_WITH(Trainer(model, optimizer, {.epochs = 1, .objective = one_number}).run(train),
                      Contains("[objective] expected a loss for each of 4 images"));
}

TEST_CASE("a crafted batch is what is learned from, and crafting leaves no trace on the model",
          "[training]") {
    SmallNet model;
    MemoryBatches train(halves(8), 4);
    Adam optimizer(model);
    std::vector<int64_t> steps;
    uint64_t before = state_hash(model);
    TrainerOptions options{.epochs = 1};
    options.craft = [&](Module& m, const Batch& batch, int64_t step) {
        steps.push_back(step);
        CHECK(&m == &model);
        CHECK_FALSE(m.training());
        if (step == 0) CHECK(state_hash(m) == before);
        before = state_hash(m);
        // One step up the loss, added behind the clean images.
        ModelClassifier classifier(m, {.classes = 2, .image = {.height = 4, .width = 4, .channels = 1}});
        const Tensor logits = classifier.logits(batch, {.step = step});
        const Tensor g = classifier.vjp(softmax(logits) - one_hot(batch.targets, 2));
        CHECK(state_hash(m) == before);
        Batch both{.images = concat({batch.images, clamp(batch.images + 0.1 * sign(g), 0, 1)}, 0),
                   .targets = concat({batch.targets, batch.targets}, 0),
                   .ids = batch.ids};
        both.ids.insert(both.ids.end(), batch.ids.begin(), batch.ids.end());
        return both;
    };
    int64_t seen = 0;
    options.objective = [&](Module& m, const Batch& batch, const Pass& pass) {
        CHECK(m.training());
        CHECK(pass.ids == batch.ids);
        seen += batch.images.size(0);
        return cross_entropy(m(batch.images, pass), batch.targets);
    };
    Trainer(model, optimizer, options).run(train);
    CHECK(steps == std::vector<int64_t>{0, 1});
    CHECK(seen == 16);

    options.craft = [](Module& m, const Batch& batch, int64_t) {
        m.named_parameters()[0].parameter->value.mutable_data<float>()[0] += 0;
        return batch;
    };
    CHECK_THROWS_WITH(Trainer(model, optimizer, options).run(train),
                      Contains("leaves the model alone") && Contains("wrote to 0.weight"));
    options.craft = [](Module&, const Batch& batch, int64_t) { return Batch{.images = batch.images}; };
    CHECK_THROWS_WITH(Trainer(model, optimizer, options).run(train), Contains("with a target each"));
}

TEST_CASE("what is not finite stops the training, and is traced to where it arose", "[training]") {
    SmallNet model;
    Batch batch = halves(6);
    Sgd optimizer(model);
    TrainerOptions options{.epochs = 2};
    auto run = [&] {
        MemoryBatches train(batch, 3);
        Trainer(model, optimizer, options).run(train);
    };
    SECTION("a loss") {
        options.objective = [](Module& m, const Batch& b, const Pass& pass) {
            const Tensor losses = cross_entropy(m(b.images, pass), b.targets);
            return pass.step == 1 ? losses + log(losses - losses) : losses;
        };
        CHECK_THROWS_AS(run(), NonFiniteError);
        MemoryBatches train(batch, 3);
        CHECK_THROWS_WITH(
            Trainer(model, optimizer, options).run(train),
            Contains("epoch 1, step 1: the loss is not finite, of the images with ids 3, 4, 5") &&
                Contains("it began in log, 3 of 3 elements"));
    }
    SECTION("a gradient, though the loss is fine") {
        options.objective = [](Module& m, const Batch& b, const Pass& pass) {
            const Tensor losses = cross_entropy(m(b.images, pass), b.targets);
            return losses + sqrt(losses - losses);
        };
        CHECK_THROWS_WITH(run(),
                          Contains("epoch 1, step 0: not finite is the gradient of 0.weight and 5 more") &&
                              Contains("it began in "));
    }
    SECTION("a layer") {
        class Overflow : public Sequential {
          public:
            Overflow() {
                then<Flatten>().then<Function>("Exp", [](const Tensor& x) { return exp(1000.0 * x); });
                then<Linear>(16, 2);
                initialize(1);
            }
        } overflow;
        Sgd other(overflow);
        MemoryBatches train(batch, 3);
        CHECK_THROWS_WITH(Trainer(overflow, other, options).run(train),
                          Contains("it began in exp in 1 (Exp)"));
    }
    SECTION("an image") {
        batch.images.mutable_data<float>()[16] = std::numeric_limits<float>::quiet_NaN();
        CHECK_THROWS_WITH(
            run(), Contains("of the images with ids") && Contains("it began in the images with ids 1"));
    }
    SECTION("a weight") {
        model.named_parameters()[0].parameter->value.mutable_data<float>()[0] =
            std::numeric_limits<float>::infinity();
        CHECK_THROWS_WITH(run(), Contains("it began in the weights: 0.weight"));
    }
}

TEST_CASE("options of a training that make no sense are refused", "[training]") {
    SmallNet model;
    Sgd optimizer(model);
    CHECK_THROWS_AS(Trainer(model, optimizer, {.epochs = 0}), OptionsError);
    CHECK_THROWS_AS(Trainer(model, optimizer, {.clip_norm = -1}), OptionsError);
    CHECK_THROWS_AS(Trainer(model, optimizer, {.average_decay = 1}), OptionsError);
    Trainer trainer(model, optimizer, {});
    trainer.add<Script>(std::vector<double>{});
    CHECK_THROWS_WITH(trainer.add<Script>(std::vector<double>{}), Contains("script"));
    MemoryBatches train(halves(4), 2);
    model.freeze("*");
    CHECK_THROWS_WITH(Trainer(model, optimizer, {}).run(train), Contains("frozen as a whole"));
    EpochRecord record;
    CHECK_THROWS_WITH(value_of(record, "val_loss"), Contains("validation images"));
    record.metrics["auc"] = 0.75;
    CHECK(value_of(record, "auc") == 0.75);
}
