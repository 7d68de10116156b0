// Training on the device: the CPU's bits, and a training that goes on on either.
#include "attacks/pgd.hpp"
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

// Leaves the device next to no memory after a step.
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
    MemoryBatches train(halves(8), 5), validation(halves(4, 2), 4);
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
        train_on(kCuda, "adamw", file, 2);
        FAIL("it had no memory");
    } catch (const OutOfMemoryError& error) {
        CHECK_THAT(error.what(), Contains("epoch 2, step 3, a batch of 3 images") && Contains("more bytes") &&
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

TEST_CASE("a loss that is not finite is explained on the device", "[cuda][training]") {
    EmulatedDevice device;
    SmallNet model;
    model.to(kCuda);
    Batch batch = halves(4);
    batch.images.mutable_data<float>()[16] = std::numeric_limits<float>::quiet_NaN();
    MemoryBatches train(batch, 4);
    Sgd optimizer(model, {.lr = 0.1});
    CHECK_THROWS_WITH(Trainer(model, optimizer, {.epochs = 1}).run(train), Contains("images with ids 1"));
}
