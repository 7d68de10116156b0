// Evaluation of a model on the device: the CPU's rows, and each batch copied once.
#include "attacks/noise.hpp"
#include "attacks/pgd.hpp"
#include "evaluation/robust_accuracy.hpp"
#include "tests/tensor/cuda_test_support.hpp"
#include "tests/training/training_test_support.hpp"

#include <catch2/catch.hpp>

using namespace microtome;
using namespace microtome::testing;

namespace {

Evaluation evaluated(Device device, const std::vector<const Attack*>& attacks) {
    test::SmallNet model;
    model.to(device);
    const ModelOptions options{
        .classes = 2, .image = {.height = 4, .width = 4, .channels = 1}, .numbers = {}};
    ModelClassifier classifier(model, options, Execution::exact_plan);
    MemoryBatches images(test::halves(7), 4);
    return evaluate(classifier, images, attacks);
}

}  // namespace

TEST_CASE("a model on the device is judged as on the CPU", "[cuda][evaluation]") {
    EmulatedDevice device;
    const Pgd pgd({.epsilon = 0.1, .steps = 2, .restarts = 2, .seed = 3});
    const UniformNoise noise(NoiseOptions{.epsilon = 0.1});
    const Evaluation here = evaluated(kCpu, {&pgd, &noise}), there = evaluated(kCuda, {&pgd, &noise});
    CHECK(identical(here.logits, there.logits));
    CHECK(here.clean == there.clean);
    REQUIRE(here.outcomes.size() == there.outcomes.size());
    for (std::size_t k = 0; k < here.outcomes.size(); ++k) {
        const auto &a = here.outcomes[k].images, &b = there.outcomes[k].images;
        REQUIRE(a.size() == b.size());
        for (std::size_t i = 0; i < a.size(); ++i) {
            CHECK(a[i].adversarial == b[i].adversarial);
            CHECK(a[i].rounded == b[i].rounded);
            CHECK(a[i].adversarial_loss == b[i].adversarial_loss);
            CHECK(a[i].given_loss == b[i].given_loss);
            CHECK(a[i].distance.linf == b[i].distance.linf);
        }
    }
}

TEST_CASE("images go to the device once, and once more in 8 bits", "[cuda][evaluation]") {
    EmulatedDevice device;
    test::SmallNet model;
    model.to(kCuda);
    const ModelOptions options{
        .classes = 2, .image = {.height = 4, .width = 4, .channels = 1}, .numbers = {}};
    ModelClassifier classifier(model, options);
    const Batch all = test::halves(64);
    const Pgd pgd({.epsilon = 0.1, .steps = 2});
    MemoryBatches once(all, 64);
    evaluate(classifier, once, {&pgd});  // whatever is made once
    MemoryBatches images(all, 64);
    const int64_t before = EmulatedDevice::uploaded();
    evaluate(classifier, images, {&pgd});
    const int64_t bytes = EmulatedDevice::uploaded() - before, pixels = all.images.elements();
    CHECK(bytes >= 5 * pixels);
    CHECK(bytes < 5 * pixels + 64 * 64);  // targets, ids and keys besides
}
