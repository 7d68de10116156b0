// Attacks that go on without the host: the images, passes, errors and stops of those that ask it in each
// step, made in chunks at first and as graphs from then on.
#include "attacks/device_walk.hpp"

#include "attacks/fgsm.hpp"
#include "attacks/mi_fgsm.hpp"
#include "attacks/pgd.hpp"
#include "autograd/ops/arithmetic.hpp"
#include "autograd/ops/dropout.hpp"
#include "autograd/ops/elementwise.hpp"
#include "autograd/ops/image.hpp"
#include "autograd/ops/shaping.hpp"
#include "base/interrupt.hpp"
#include "tensor/cuda/blas.hpp"
#include "tensor/cuda/graph.hpp"
#include "tensor/precision.hpp"
#include "tests/tensor/cuda_test_support.hpp"
#include "tests/training/training_test_support.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <csignal>

using Catch::Contains;
using namespace microtome;
using namespace microtome::testing;
using test::halves;
using test::SmallNet;

namespace {

ModelOptions grey(int64_t classes) {
    return {.classes = classes, .image = {.height = 4, .width = 4, .channels = 1}, .numbers = {}};
}

// One network on both devices; on the CPU the walk asks in each step.
template <class Net>
struct Both {
    Net here, there;
    ModelClassifier on_cpu, on_device;
    explicit Both(int64_t classes = 2)
        : on_cpu(here, grey(classes), Execution::exact_plan), on_device(there, grey(classes)) {
        there.to(kCuda);
    }
};

// Five classes, so that the losses differ and a target can be missed.
class FiveClasses : public Sequential {
  public:
    FiveClasses() {
        then<Conv2d>(1, 3, Conv2dOptions{.padding = 1}).then<Relu>().then<Flatten>().then<Linear>(48, 5);
        initialize(4);
    }
};

Batch of_five(int64_t n, uint64_t seed) {
    Batch batch = halves(n, seed);
    std::vector<int64_t> labels;
    for (int64_t i = 0; i < n; ++i) labels.push_back(i % 5), batch.ids[i] += 100;
    batch.targets = Tensor::of(labels, {n});
    return batch;
}

std::pair<int64_t, int64_t> passes(const Classifier& classifier) {
    return {classifier.forward_passes(), classifier.backward_passes()};
}

// As the CPU does it, so often that graphs come into use. How many were launched.
template <class Net>
int64_t attack_alike(const Attack& attack, Both<Net>& both, const std::vector<Batch>& batches) {
    const int64_t before = cuda::launched_graphs();
    for (int round = 0; round < 6; ++round)
        for (const Batch& batch : batches) {
            INFO(attack.name() << ", " << batch.images.size(0) << " images, round " << round);
            const auto here = passes(both.on_cpu), there = passes(both.on_device);
            const Tensor expected = attack.run(both.on_cpu, batch);
            CHECK(identical(attack.run(both.on_device, batch), expected));
            const auto asked = passes(both.on_cpu), made = passes(both.on_device);
            CHECK(made.first - there.first == asked.first - here.first);
            CHECK(made.second - there.second == asked.second - here.second);
        }
    return cuda::launched_graphs() - before;
}

}  // namespace

TEST_CASE("a graph holds four to eight steps, and as many as leave few over", "[cuda][attacks]") {
    for (auto [steps, length] : std::initializer_list<std::pair<int64_t, int64_t>>{{1, 1},
                                                                                   {3, 3},
                                                                                   {5, 5},
                                                                                   {7, 7},
                                                                                   {8, 8},
                                                                                   {10, 5},
                                                                                   {11, 5},
                                                                                   {12, 6},
                                                                                   {13, 6},
                                                                                   {20, 5},
                                                                                   {40, 8},
                                                                                   {100, 5}})
        CHECK(steps_of_a_graph(steps) == length);
}

TEST_CASE("attacks without the host return the CPU's images", "[cuda][attacks]") {
    EmulatedDevice device;
    const int overruns = EmulatedDevice::overruns();
    {
        Both<FiveClasses> both(5);
        // The last batch is short, and the larger one moves the plan's memory.
        const std::vector<Batch> batches{of_five(3, 1), of_five(1, 2), of_five(5, 3), of_five(2, 4)};
        const GradientAttackOptions plain{.epsilon = 0.06, .step = 0.02, .steps = 5, .seed = 7};
        std::vector<GradientAttackOptions> all(1, plain);
        auto with = [&](auto change) { change(all.emplace_back(plain)); };
        with([](auto& o) { o.steps = 1, o.step = 0.06; });
        with([](auto& o) { o.steps = 9, o.random_start = true, o.restarts = 2; });
        with([](auto& o) { o.norm = Norm::l2, o.epsilon = 0.5, o.step = 0.2, o.random_start = true; });
        with([](auto& o) { o.momentum = 0.75; });
        with([](auto& o) { o.momentum = 1, o.norm = Norm::l2, o.epsilon = 0.5, o.stop = StopRule::fooled; });
        with([](auto& o) { o.loss = AttackLoss::margin, o.target.rule = Target::Rule::next; });
        with([](auto& o) { o.loss = AttackLoss::dlr, o.stop = StopRule::fooled, o.steps = 11; });
        with([](auto& o) { o.loss = AttackLoss::dlr, o.target.rule = Target::Rule::random; });
        with([](auto& o) {
            o.target = {Target::Rule::fixed, 2}, o.stop = StopRule::fooled, o.steps = 12, o.restarts = 2;
            o.random_start = true, o.epsilon = 0.2;
        });
        for (const GradientAttackOptions& options : all) {
            const GradientAttack attack("walk", options);
            for (const auto& [name, value] : attack.options()) UNSCOPED_INFO(name << " " << value);
            CHECK(attack_alike(attack, both, batches) > 0);
        }
        CHECK(both.on_device.mode() == "exact plan");
        CHECK(attack_alike(Fgsm({.epsilon = 0.1}), both, {batches[0]}) > 0);
    }
    CHECK(EmulatedDevice::overruns() == overruns);
    CHECK(EmulatedDevice::misuses() == 0);
}

TEST_CASE("images that fooled the classifier stay where they were, a chunk or a hundred ago",
          "[cuda][attacks]") {
    EmulatedDevice device;
    Both<SmallNet> both;
    Batch batch = halves(4);
    // All are fooled within a few of the steps.
    const Pgd attack({.epsilon = 1, .step = 0.05, .steps = 200, .stop = StopRule::fooled});
    const int waits = EmulatedDevice::waits();
    CHECK(attack_alike(attack, both, {batch}) > 0);
    CHECK(passes(both.on_device).first < 3 * 4 * 100);
    // Some when they begin: they are not moved at all.
    const Batch answered{.images = batch.images,
                         .targets = Tensor::of({int64_t{0}, int64_t{0}, int64_t{1}, int64_t{1}}, {4}),
                         .ids = batch.ids};
    attack_alike(attack, both, {answered});
    // The device ended long before the last step: a chunk is eight of them.
    CHECK(EmulatedDevice::waits() - waits < 100);
}

TEST_CASE("the host waits no more often in many steps than in few", "[cuda][attacks]") {
    EmulatedDevice device;
    Both<SmallNet> both;
    const Batch batch = halves(3);
    auto waits_in = [&](int64_t steps) {
        const MiFgsm attack({.epsilon = 0.1, .steps = steps});
        attack.run(both.on_device, batch);
        const int before = EmulatedDevice::waits();
        attack.run(both.on_device, batch);
        return EmulatedDevice::waits() - before;
    };
    CHECK(waits_in(4) == waits_in(64));
}

namespace {

// Noise that a step's key draws, in eval mode as well.
class Noisy : public Module {
    std::string_view kind() const override { return "Noisy"; }
    Tensor forward(const Tensor& x, const Pass& pass) override {
        return dropout(x, 0.5, pass.key, pass.sample_ids);
    }
};
class NoisyNet : public Sequential {
  public:
    NoisyNet() {
        then<Noisy>().then<Flatten>().then<Linear>(16, 2);
        initialize(3);
    }
};

}  // namespace

TEST_CASE("a randomised defence draws anew in each step of a graph", "[cuda][attacks]") {
    EmulatedDevice device;
    Both<NoisyNet> both;
    Batch batch = halves(3);
    batch.ids = {7, 3, 1'000'000'000'000};
    for (const StopRule stop : {StopRule::never, StopRule::fooled}) {
        const Pgd attack({.epsilon = 0.3, .step = 0.02, .steps = 10, .restarts = 2, .stop = stop, .seed = 5});
        CHECK(attack_alike(attack, both, {batch}) > 0);
    }
}

namespace {

// Images of another size than the network's, whose matrices for that come from the host.
class Resized : public Module {
    std::string_view kind() const override { return "Resized"; }
    Tensor forward(const Tensor& x, const Pass&) override { return resize_bicubic(x, 3, 5); }
};
class ResizingNet : public Sequential {
  public:
    ResizingNet() {
        then<Resized>().then<Flatten>().then<Linear>(15, 2);
        initialize(3);
    }
};

}  // namespace

TEST_CASE("a model that resizes its images is captured as well", "[cuda][attacks]") {
    EmulatedDevice device;
    Both<ResizingNet> both;
    CHECK(attack_alike(Pgd({.epsilon = 0.1, .steps = 5}), both, {halves(2), halves(3)}) > 0);
}

TEST_CASE("a graph reads the weights of the moment", "[cuda][attacks]") {
    EmulatedDevice device;
    Both<SmallNet> both;
    const Batch batch = halves(4);
    const Pgd attack({.epsilon = 0.1, .steps = 10});
    CHECK(attack_alike(attack, both, {batch}) > 0);
    const Tensor before = attack.run(both.on_device, batch);
    for (Module* net : {static_cast<Module*>(&both.here), static_cast<Module*>(&both.there)}) {
        Sgd optimizer(*net, {.lr = 0.5});
        Tensors gradients;
        for (const Tensor& weight : net->parameters())
            gradients.push_back(Tensor::full(weight.shape(), 0.125, Dtype::f32, weight.device()));
        optimizer.step(gradients);
    }
    CHECK(attack_alike(attack, both, {batch}) > 0);
    // Replaced altogether.
    both.here.initialize(11), both.there.initialize(11), both.there.to(kCuda);
    CHECK(attack_alike(attack, both, {batch}) > 0);
    CHECK_FALSE(identical(attack.run(both.on_device, batch), before));
}

TEST_CASE("a graph is of the precision that it was captured in", "[cuda][attacks]") {
    EmulatedDevice device;
    Both<FiveClasses> both(5);
    const Batch batch = of_five(3, 1);
    struct : AttackObserver {
        void step(const AttackStep&) override {}
    } observer;
    Pgd attack({.norm = Norm::l2, .epsilon = 0.5, .steps = 5});
    CHECK(attack_alike(attack, both, {batch}) > 0);
    const ProductModeScope scope({.precision = Precision::bf16, .libraries = false});
    for (int round = 0; round < 6; ++round) {
        attack.observe(nullptr);
        const Tensor images = attack.run(both.on_device, batch);
        attack.observe(&observer);  // step by step
        CHECK(identical(images, attack.run(both.on_device, batch)));
        CHECK_FALSE(identical(images, attack.run(both.on_cpu, batch)));
    }
}

TEST_CASE("a model whose products are a library's is attacked alike", "[cuda][attacks]") {
    EmulatedDevice device;
    const cuda::emulation::Libraries libraries;
    Both<FiveClasses> both(5);
    const Batch batch = of_five(3, 1);
    struct : AttackObserver {
        void step(const AttackStep&) override {}
    } observer;
    Pgd attack({.epsilon = 0.05, .steps = 5});
    for (int round = 0; round < 6; ++round) {
        attack.observe(nullptr);
        const Tensor images = attack.run(both.on_device, batch);
        attack.observe(&observer);  // step by step
        CHECK(identical(images, attack.run(both.on_device, batch)));
    }
    CHECK(libraries.blas().calls() > 0);
}

namespace {

// sqrt(wall - x) of the third pixel, whose slope is infinite where the pixel comes to the wall.
class Wall : public Module {
    std::string_view kind() const override { return "Wall"; }
    Tensor forward(const Tensor& x, const Pass&) override {
        return sqrt(0.625 - slice(reshape(x, Shape{x.size(0), 16}), 1, 2, 3));
    }
};
class WallNet : public Sequential {
  public:
    WallNet() {
        then<Wall>().then<Linear>(1, 2);
        initialize(1);
        // Class 0 as long as there is some way to the wall, and at the wall, too; away from it goes downhill.
        for (const NamedParameter& named : named_parameters()) {
            Tensor& value = named.parameter->value;
            value.copy_from(Tensor::of({1.0f, -1.0f}, {2}).view(value.shape()));
        }
    }
};

}  // namespace

TEST_CASE("a gradient that is not finite is named as on the CPU, with its step", "[cuda][attacks]") {
    EmulatedDevice device;
    Both<WallNet> both;
    // The third pixel of each image is so many steps away from the wall; there are sixteen.
    for (const StopRule stop : {StopRule::never, StopRule::fooled})
        for (auto [second, third] : {std::pair{7, 20}, {7, 3}, {0, 0}, {20, 20}}) {
            Batch batch{.images = Tensor::full({3, 4, 4, 1}, 0.25),
                        .targets = Tensor::of(std::vector<int64_t>{0, 0, 0}, {3})};
            batch.ids = {5, 6, 7};
            auto pixels = batch.images.mutable_data<float>();
            pixels[16 * 1 + 2] = 0.625f - 0.015625f * static_cast<float>(second);
            pixels[16 * 2 + 2] = 0.625f - 0.015625f * static_cast<float>(third);
            const GradientAttack attack("walk",
                                        {.epsilon = 0.5, .step = 0.015625, .steps = 16, .stop = stop});
            auto message = [&](Classifier& classifier) -> std::string {
                try {
                    attack.run(classifier, batch);
                } catch (const Error& error) {
                    return error.what();
                }
                return "";
            };
            const std::string expected = message(both.on_cpu);
            INFO(expected);
            CHECK(expected.empty() == (second == 20 && third == 20));
            for (int round = 0; round < 3; ++round) CHECK(message(both.on_device) == expected);
        }
}

TEST_CASE("Ctrl-C ends an attack within a chunk, on either device", "[cuda][attacks][interrupt]") {
    EmulatedDevice device;
    Both<SmallNet> both;
    const Batch batch = halves(2);
    const Pgd attack({.epsilon = 0.1, .steps = 800});
    InterruptGuard guard;
    std::raise(SIGINT);
    for (Classifier* classifier :
         {static_cast<Classifier*>(&both.on_cpu), static_cast<Classifier*>(&both.on_device)}) {
        CHECK_THROWS_AS(attack.run(*classifier, batch), Interrupted);
        CHECK(classifier->forward_passes() == 0);
    }
}

TEST_CASE("what is kept for attacks is bounded, and goes with the classifier", "[cuda][attacks][memory]") {
    EmulatedDevice device(std::size_t{1} << 30);
    const std::size_t before = memory_use(kCuda).current;
    {
        Both<SmallNet> both;
        std::size_t most = 0;
        for (int i = 1; i <= 24; ++i) {
            const Pgd attack({.epsilon = 0.01 * i, .steps = 10});
            for (int twice = 0; twice < 2; ++twice) attack.run(both.on_device, halves(4));
            if (i == 12) most = memory_use(kCuda).current + memory_use(kCuda).cached;
        }
        CHECK(memory_use(kCuda).current + memory_use(kCuda).cached <= most);
    }
    CHECK(memory_use(kCuda).current == before);
    CHECK(memory_use(kCuda).cached == 0);
}

TEST_CASE("what is kept for attacks goes where memory runs out", "[cuda][attacks][memory]") {
    EmulatedDevice device(std::size_t{1} << 30);
    Both<SmallNet> both;
    const Batch batch = halves(8);
    auto alike = [&](double epsilon) {
        const Pgd attack({.epsilon = epsilon, .steps = 3, .stop = StopRule::fooled});
        const Tensor images = attack.run(both.on_device, batch), expected = attack.run(both.on_cpu, batch);
        CHECK(identical(images, expected));
    };
    for (double epsilon : {0.1, 0.11, 0.12, 0.13, 0.14, 0.15}) alike(epsilon);
    auto held = [] { return memory_use(kCuda).current + memory_use(kCuda).cached; };
    const std::size_t kept = held();
    EmulatedDevice::limit_memory(kept + 2200);  // too little for one more
    alike(0.2);
    CHECK(held() < kept - 5 * 3 * batch.images.spec().bytes());
    alike(0.3);  // and there is room again
}
