// Training on the device: the CPU's bits, and a training that goes on on either.
#include "attacks/pgd.hpp"
#include "autograd/ops/arithmetic.hpp"
#include "autograd/ops/elementwise.hpp"
#include "autograd/ops/losses.hpp"
#include "defenses/adversarial_fine_tuning.hpp"
#include "tensor/out_of_memory.hpp"
#include "tests/scratch_folder.hpp"
#include "tests/tensor/cuda_test_support.hpp"
#include "tests/training/training_test_support.hpp"
#include "training/class_weights.hpp"

#include <catch2/catch.hpp>

using namespace microtome;
using namespace microtome::testing;
using namespace microtome::test;
using Catch::Contains;

namespace {

// Leaves the device next to no memory after a step, of which it hears when the next one is on its way.
class Squeeze : public Callback {
  public:
    explicit Squeeze(int64_t step) : step_(step) {}
    std::string name() const override { return "squeeze"; }
    void step_ended(TrainingState&, const StepRecord& record) override {
        if (record.step == step_) EmulatedDevice::limit_memory(memory_use(kCuda).current + 64);
    }

  private:
    int64_t step_;
};

struct Trained {
    uint64_t state;
    std::vector<double> losses;
};

// With an average, clipping, validation, weights of classes and a rate of its own for a group.
Trained train_on(Device device, const std::string& optimizer_name, const std::string& checkpoint = "",
                 int64_t squeeze = -1) {
    SmallNet model;
    model.to(device);
    MemoryBatches train(halves(8), 3), validation(halves(4, 2), 4);
    std::unique_ptr<Optimizer> optimizer;
    if (optimizer_name == "sgd")
        optimizer =
            std::make_unique<Sgd>(model, SgdOptions{.lr = 0.1, .momentum = 0.9, .weight_decay = 0.01});
    else
        optimizer = std::make_unique<AdamW>(model, AdamOptions{.lr = 0.02, .weight_decay = 0.01});
    Trainer trainer(
        model, *optimizer,
        {.epochs = 2,
         .seed = 5,
         .objective = class_weighted(cross_entropy_objective(), {1, 2}),
         .metrics = {{"first", [](const Tensor& logits,
                                  const Tensor&) { return static_cast<double>(logits.data<float>()[0]); }}},
         .clip_norm = 0.5,
         .average_decay = 0.9,
         .checkpoint = checkpoint,
         .resume = true});
    if (!checkpoint.empty()) trainer.add<Squeeze>(squeeze);
    const TrainingResult result = trainer.run(train, &validation);
    Trained trained{state_hash(model), losses_of(result.history)};
    for (const EpochRecord& record : result.history) {
        trained.losses.push_back(*record.val_loss);
        trained.losses.push_back(record.metrics.at("first"));
    }
    return trained;
}

}  // namespace

TEST_CASE("a training on the device is the CPU's, bit for bit", "[cuda][training]") {
    EmulatedDevice device;
    for (const std::string optimizer : {"sgd", "adamw"}) {
        const Trained here = train_on(kCpu, optimizer), there = train_on(kCuda, optimizer);
        CHECK(here.state == there.state);
        CHECK(here.losses == there.losses);
    }
}

TEST_CASE("a training that ran out of memory says so and goes on, there or on the CPU", "[cuda][training]") {
    EmulatedDevice device(std::size_t{1} << 30);
    ScratchFolder folder;
    const std::string file = folder / "checkpoint.safetensors";
    const Trained expected = train_on(kCpu, "adamw", folder / "other.safetensors");
    try {
        train_on(kCuda, "adamw", file, 3);
        FAIL("it had no memory");
    } catch (const OutOfMemoryError& error) {
        CHECK_THAT(error.what(), Contains("epoch 2, step 5, a batch of 2 images") && Contains("more bytes") &&
                                     Contains("tensors hold") && Contains("a batch of 1") &&
                                     Contains("checkpoint of epoch 1"));
    }
    SECTION("on the device") {
        EmulatedDevice::limit_memory(std::size_t{1} << 30);
        const Trained resumed = train_on(kCuda, "adamw", file);
        CHECK(resumed.state == expected.state);
        CHECK(resumed.losses == expected.losses);
    }
    SECTION("on the CPU") {
        const Trained resumed = train_on(kCpu, "adamw", file);
        CHECK(resumed.state == expected.state);
        CHECK(resumed.losses == expected.losses);
    }
}

TEST_CASE("adversarial training on the device is the CPU's, bit for bit", "[cuda][training]") {
    EmulatedDevice device;
    std::vector<uint64_t> states;
    for (Device where : {kCpu, kCuda}) {
        SmallNet model;
        model.to(where);
        MemoryBatches train(halves(4), 4);
        Sgd optimizer(model, {.lr = 0.1});
        const Pgd attack({.epsilon = 0.1, .steps = 2, .seed = 1});
        const ModelOptions options{
            .classes = 2, .image = {.height = 4, .width = 4, .channels = 1}, .numbers = {}};
        // The CPU's plans are not exact unless asked.
        const Craft craft = [&](Module& net, const Batch& batch, int64_t) {
            ModelClassifier classifier(net, options, Execution::exact_plan);
            return paired(batch, attack.run(classifier, batch));
        };
        Trainer(model, optimizer, {.epochs = 1, .seed = 5, .objective = paired_objective(), .craft = craft})
            .run(train);
        states.push_back(state_hash(model));
    }
    CHECK(states[0] == states[1]);
}

namespace {

// Batches of a NaN here and there, already on a device.
class Spoilt : public BatchSource {
  public:
    Spoilt(Device device, int64_t batches, int64_t spoilt) : device_(device), n_(batches), spoilt_(spoilt) {}
    void start(int64_t) override { next_ = 0; }
    std::optional<Batch> next() override {
        if (next_ == n_) return std::nullopt;
        Batch batch = halves(4, static_cast<uint64_t>(next_));
        for (int64_t& id : batch.ids) id += 10 * next_;
        if (next_++ == spoilt_)
            batch.images.mutable_data<float>()[16] = std::numeric_limits<float>::quiet_NaN();
        return to(batch, device_);
    }
    int64_t images() const override { return 4 * n_; }
    int64_t batches() const override { return n_; }

  private:
    Device device_;
    int64_t n_, spoilt_, next_ = 0;
};

std::string complaint(Device device, int64_t spoilt, Objective objective = {}) {
    SmallNet model;
    model.to(device);
    Spoilt train(device, 4, spoilt);
    AdamW optimizer(model, {.lr = 0.02, .weight_decay = 0.01});
    try {
        Trainer(model, optimizer, {.epochs = 1, .objective = std::move(objective), .clip_norm = 0.5})
            .run(train);
    } catch (const NonFiniteError& error) {
        return error.what();
    }
    return "none";
}

}  // namespace

TEST_CASE("what is not finite is explained on the device as on the CPU, though seen later",
          "[cuda][training]") {
    EmulatedDevice device;
    for (int64_t spoilt : {0, 1, 3}) {
        const std::string expected = complaint(kCpu, spoilt);
        CHECK_THAT(expected, Contains(str("step ", spoilt)) && Contains("images with ids "));
        CHECK(complaint(kCuda, spoilt) == expected);
    }
    CHECK(complaint(kCuda, 7) == "none");

    // A loss that is finite, of a gradient that is not, in the third step.
    const Objective infinite_slope = [](Module& model, const Batch& batch, const Pass& pass) {
        const Tensor losses = cross_entropy(model(batch.images, pass), batch.targets);
        return pass.step == 2 ? sqrt(losses * 0.0) : losses;
    };
    const std::string expected = complaint(kCpu, 7, infinite_slope);
    CHECK_THAT(expected, Contains("step 2") && Contains("gradient of"));
    CHECK(complaint(kCuda, 7, infinite_slope) == expected);
}

TEST_CASE("within a training on the device nobody waits for it", "[cuda][training]") {
    EmulatedDevice device;
    SmallNet model;
    model.to(kCuda);
    class Waits : public Callback {
      public:
        std::string name() const override { return "waits"; }
        void step_ended(TrainingState&, const StepRecord& record) override {
            seen.push_back(EmulatedDevice::waits());
            steps.push_back(record.step);
        }
        std::vector<int> seen;
        std::vector<int64_t> steps;
    };
    Spoilt train(kCuda, 5, -1);
    AdamW optimizer(model, {.lr = 0.02, .weight_decay = 0.01});
    Trainer trainer(model, optimizer,
                    {.epochs = 1,
                     .objective = class_weighted(cross_entropy_objective(), {1, 2}),
                     .clip_norm = 0.5,
                     .average_decay = 0.9});
    const Waits& waits = trainer.add<Waits>();
    const int misuses = EmulatedDevice::misuses();
    trainer.run(train);
    CHECK(waits.steps == std::vector<int64_t>{0, 1, 2, 3, 4});
    CHECK(waits.seen.front() == waits.seen.back());
    CHECK(EmulatedDevice::misuses() == misuses);
}
