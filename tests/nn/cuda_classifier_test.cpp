// Models and attacks on the device: the bits of the CPU, wherever the images are.
#include "attacks/blended_patch.hpp"
#include "attacks/mi_fgsm.hpp"
#include "attacks/patch.hpp"
#include "attacks/pgd.hpp"
#include "attacks/universal_perturbation.hpp"
#include "nn/ensemble.hpp"
#include "nn/preprocess.hpp"
#include "tests/tensor/cuda_test_support.hpp"
#include "tests/training/training_test_support.hpp"

#include <catch2/catch.hpp>

using namespace microtome;
using namespace microtome::testing;
using Catch::Contains;
using test::halves;
using test::SmallNet;

namespace {

ModelOptions grey() {
    return {.classes = 2, .image = {.height = 4, .width = 4, .channels = 1}, .numbers = {}};
}

// One network on both devices.
struct Both {
    SmallNet here, there;
    ModelClassifier on_cpu{here, grey(), Execution::exact_plan}, on_device{there, grey()};
    Both() { there.to(kCuda); }
};

}  // namespace

TEST_CASE("a module moves to the device and back, and its files stay the same", "[cuda][nn]") {
    EmulatedDevice device;
    SmallNet here, there;
    there.to(kCuda);
    CHECK(here.device() == kCpu);
    CHECK(there.device() == kCuda);
    const NamedTensors a = here.state(), b = there.state();
    REQUIRE(a.size() == b.size());
    for (std::size_t i = 0; i < a.size(); ++i) CHECK(identical(a[i].tensor, b[i].tensor));
    CHECK(fingerprint_of(here) == fingerprint_of(there));

    SmallNet other(2);
    other.to(kCuda);
    CHECK(fingerprint_of(other) != fingerprint_of(here));
    other.load(a);
    CHECK(other.device() == kCuda);
    CHECK(fingerprint_of(other) == fingerprint_of(here));
    other.initialize(2);
    other.to(kCpu);
    CHECK(fingerprint_of(other) == fingerprint_of(SmallNet(2)));
    CHECK(other.device() == kCpu);
}

TEST_CASE("a classifier on the device answers as on the CPU, where the images are", "[cuda][nn]") {
    EmulatedDevice device;
    Both both;
    const int overruns = EmulatedDevice::overruns();
    for (int64_t n : {3, 1, 4, 3}) {  // the same memory for all sizes, smaller and larger
        const Batch batch = halves(n, static_cast<uint64_t>(n)), there = to(batch, kCuda);
        const Tensor dlogits = test::images({n, 2}, 9);
        const Tensor expected = both.on_cpu.logits(batch), gradient = both.on_cpu.vjp(dlogits);
        CHECK(identical(both.on_device.logits(batch), expected));
        CHECK(identical(both.on_device.vjp(dlogits), gradient));
        const Tensor logits = both.on_device.logits(there);
        CHECK(logits.device() == kCuda);
        CHECK(agree(logits, expected));
        for (int twice = 0; twice < 2; ++twice) {
            const Tensor again = both.on_device.vjp(dlogits.to(kCuda));
            CHECK(again.device() == kCuda);
            CHECK(agree(again, gradient));
        }
    }
    CHECK(both.on_device.mode() == "exact plan");
    ModelClassifier on_the_tape(both.there, grey(), Execution::tape);
    const Batch batch = halves(2);
    CHECK(identical(on_the_tape.logits(batch), both.on_cpu.logits(batch)));
    CHECK(identical(on_the_tape.vjp(Tensor::full({2, 2}, 1)), both.on_cpu.vjp(Tensor::full({2, 2}, 1))));

    // Weights that were written to are noticed.
    for (SmallNet* net : {&both.here, &both.there}) {
        Tensor& value = net->trainable()[0].parameter->value;
        value.copy_from(Tensor::full(value.shape(), 0.25));
    }
    CHECK(identical(both.on_device.logits(batch), both.on_cpu.logits(batch)));
    CHECK(EmulatedDevice::overruns() == overruns);
}

TEST_CASE("pixels are normalised on the device", "[cuda][nn]") {
    EmulatedDevice device;
    Preprocess preprocess({.height = 3, .width = 2, .channels = 3, .low = -1, .high = 1});
    const Tensor x = test::images({2, 3, 2, 3});
    CHECK(agree(preprocess(x.to(kCuda)), preprocess(x)));
}

TEST_CASE("attacks by gradients on the device return the CPU's images", "[cuda][attacks]") {
    EmulatedDevice device;
    Both both;
    Batch batch = halves(5);
    const Tensor before = batch.images.clone();
    std::vector<std::unique_ptr<Attack>> attacks;
    attacks.push_back(
        std::make_unique<Pgd>(PgdOptions{.epsilon = 0.05, .steps = 2, .restarts = 2, .seed = 3}));
    attacks.push_back(std::make_unique<Pgd>(PgdOptions{
        .norm = Norm::l2, .epsilon = 0.4, .steps = 2, .restarts = 2, .stop = StopRule::fooled, .seed = 3}));
    attacks.push_back(std::make_unique<MiFgsm>(MiFgsmOptions{.epsilon = 0.05, .steps = 3}));
    for (const auto& attack : attacks) {
        INFO(attack->name());
        const Tensor expected = attack->run(both.on_cpu, batch);
        CHECK_FALSE(identical(expected, before));
        CHECK(identical(attack->run(both.on_device, batch), expected));
        CHECK(agree(attack->run(both.on_device, to(batch, kCuda)), expected));
    }
    CHECK(identical(batch.images, before));
}

TEST_CASE("an ensemble on the device answers as on the CPU, where the images are", "[cuda][nn][attacks]") {
    EmulatedDevice device;
    SmallNet first(1), second(2), third(3), fourth(4);
    first.to(kCuda), second.to(kCuda);
    // The same weights; third and fourth stay on the CPU.
    third.load(first.state()), fourth.load(second.state());
    auto both = [](SmallNet& a, SmallNet& b, Voting voting) {
        std::vector<std::unique_ptr<Classifier>> members;
        for (SmallNet* net : {&a, &b})
            members.push_back(std::make_unique<ModelClassifier>(*net, grey(), Execution::exact_plan));
        return Ensemble(std::move(members), voting);
    };
    const Batch batch = halves(3);
    const Tensor dlogits = test::images({3, 2}, 9);
    for (Voting voting : {Voting::mean_probability, Voting::mean_logit, Voting::vote}) {
        Ensemble there = both(first, second, voting), here = both(third, fourth, voting),
                 mixed = both(first, fourth, voting);
        CHECK(there.device() == kCuda);
        CHECK(mixed.device() == kCpu);
        const Tensor expected = here.logits(batch), gradient = here.vjp(dlogits);
        CHECK(identical(there.logits(batch), expected));
        CHECK(identical(there.vjp(dlogits), gradient));
        CHECK(identical(mixed.logits(batch), expected));
        CHECK(identical(mixed.vjp(dlogits), gradient));
        const Tensor logits = there.logits(to(batch, kCuda)), pulled = there.vjp(dlogits.to(kCuda));
        CHECK(logits.device() == kCuda);
        CHECK(pulled.device() == kCuda);
        CHECK(agree(logits, expected));
        CHECK(agree(pulled, gradient));
        const Pgd attack({.epsilon = 0.1, .steps = 4, .stop = StopRule::fooled});
        CHECK(identical(attack.run(there, batch), attack.run(here, batch)));
    }
}

TEST_CASE("patterns fitted on the device are the CPU's", "[cuda][attacks]") {
    EmulatedDevice device;
    Both both;
    std::vector<std::unique_ptr<UniversalAttack>> here, there;
    for (auto* attacks : {&here, &there}) {
        attacks->push_back(std::make_unique<UniversalPerturbation>(UniversalPerturbationOptions{
            .epsilon = 0.1, .fit = {.epochs = 3, .update = PatternUpdate::sign, .lr = 0.02}}));
        attacks->push_back(std::make_unique<Patch>(PatchOptions{.scale_min = 0.5, .fit = {.epochs = 3}}));
        attacks->push_back(std::make_unique<BlendedPatch>(
            BlendedPatchOptions{.size = 2, .top = 1, .left = 1, .fit = {.epochs = 3}}));
    }
    for (std::size_t i = 0; i < here.size(); ++i) {
        INFO(here[i]->name());
        MemoryBatches training(halves(40), 16);
        const FitReport expected = here[i]->fit(both.on_cpu, training);
        const FitReport report = there[i]->fit(both.on_device, training);
        CHECK(identical(there[i]->pattern(), here[i]->pattern()));
        CHECK(report.loss == expected.loss);
        CHECK(report.fooled == expected.fooled);
    }
}

namespace {

class Steps : public AttackObserver {
  public:
    std::vector<float> seen;
    void step(const AttackStep& step) override {
        for (auto values : {step.loss, step.margin, step.gradient_norm, step.zero_gradient,
                            step.stopped_by_epsilon, step.stopped_by_box})
            seen.insert(seen.end(), values.begin(), values.end());
    }
};

}  // namespace

TEST_CASE("an observer is told the same of an attack on the device", "[cuda][attacks]") {
    EmulatedDevice device;
    Both both;
    const Batch batch = halves(3);
    Steps here, there;
    Pgd attack({.epsilon = 0.05, .steps = 2, .stop = StopRule::fooled});
    attack.observe(&here);
    attack.run(both.on_cpu, batch);
    attack.observe(&there);
    attack.run(both.on_device, batch);
    CHECK_FALSE(here.seen.empty());
    CHECK(here.seen == there.seen);
}

TEST_CASE("a classifier without memory says which batch to try", "[cuda][nn]") {
    EmulatedDevice device(std::size_t{1} << 30);
    Both both;
    EmulatedDevice::limit_memory(memory_use(kCuda).current + 2000);
    CHECK_THROWS_WITH(both.on_device.logits(halves(8)),
                      Contains("out of memory with 8 images") && Contains("more bytes") &&
                          Contains("tensors hold") && Contains("batch of 4"));
}
