// Plans for batches on the device fold batch norms into the convolutions before them where libraries are
// used; elsewhere, and where they are asked to be exact, they have the tape's bits.
#include "autograd/batch_plan.hpp"
#include "autograd/ops/arithmetic.hpp"
#include "autograd/ops/elementwise.hpp"
#include "autograd/ops/linear.hpp"
#include "autograd/ops/pooling.hpp"
#include "autograd/ops/reductions.hpp"
#include "autograd/tape.hpp"
#include "tensor/cuda/dnn.hpp"
#include "tests/tensor/cuda_test_support.hpp"

#include <catch2/catch.hpp>
#include <cmath>

using namespace microtome;
using namespace microtome::testing;
using cuda::emulation::Libraries;

namespace {

using Model = std::function<Tensor(const Tensor&)>;

struct Rule {
    const char* name;
    Model model;
    int64_t convolutions;     // forward and back
    bool has_scales = false;  // that can be folded
};

// With constants on the device.
std::vector<Rule> rules() {
    auto numbers = [](const Shape& shape, uint64_t seed) {
        return random_tensor<float>(shape, seed).to(kCuda);
    };
    const Tensor w3 = numbers({5, 3, 3, 3}, 1), w5 = numbers({5, 3, 3, 5}, 2), w1 = numbers({5, 1, 1, 3}, 3);
    const Tensor b = numbers({5}, 4), scale = numbers({5}, 5), shift = numbers({5}, 6);
    const ConvOptions same{.pad_top = 1, .pad_bottom = 1, .pad_left = 1, .pad_right = 1};
    auto logits = [](const Tensor& y) { return sum(y, {1, 2}); };
    return {
        {"a convolution", [=](const Tensor& x) { return logits(conv2d(x, w3)); }, 2},
        {"bias and ReLU", [=](const Tensor& x) { return logits(relu(conv2d(x, w3) + b)); }, 2},
        {"ReLU and pooling",
         [=](const Tensor& x) { return logits(max_pool2d(relu(conv2d(x, w3, same) + b))); }, 2},
        {"batch norm",
         [=](const Tensor& x) { return logits(relu(multiply_add(conv2d(x, w3), scale, shift))); }, 2, true},
        {"bias and batch norm",
         [=](const Tensor& x) { return logits(relu(multiply_add(conv2d(x, w3) + b, scale, shift))); }, 2,
         true},
        {"a block with a shortcut",
         [=](const Tensor& x) {
             const Tensor y = relu(multiply_add(conv2d(x, w3, same), scale, shift));
             const Tensor z = multiply_add(conv2d(y, w5, same), shift, scale);
             return logits(relu(z + multiply_add(conv2d(x, w1), scale, b)));
         },
         6, true},
        {"a ReLU that is read twice",
         [=](const Tensor& x) {
             const Tensor y = relu(conv2d(x, w3, same) + b);
             return logits(relu(conv2d(y, w5, same) + y));
         },
         4},
    };
}

struct Answers {
    Tensor logits, gradient;
};
Answers on_the_tape(const Model& model, const Tensor& x, const Tensor& dlogits) {
    Tape tape;
    tape.watch(x);
    const Tensor logits = model(x);
    return {logits, tape.vjp({logits}, {dlogits}, {x})[0]};
}
Answers planned(const Model& model, const Tensor& x, const Tensor& dlogits, bool exact) {
    BatchPlan plan(
        {x.shape().with(0, 1), Dtype::f32, kCuda}, {}, {}, [&](const Tensors& in) { return model(in[0]); },
        exact);
    const Tensor logits = plan.logits({x});
    return {logits, plan.vjp(dlogits)};
}

bool close(const Tensor& a, const Tensor& b) {
    const Tensor here = a.to(kCpu), there = b.to(kCpu);
    const auto x = here.data<float>(), y = there.data<float>();
    double largest = 0, apart = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
        largest = std::max(largest, static_cast<double>(std::abs(x[i])));
        apart = std::max(apart, static_cast<double>(std::abs(x[i] - y[i])));
    }
    return apart <= 1e-5 * largest;
}

}  // namespace

TEST_CASE("without libraries a plan on the device has the tape's bits", "[cuda][plan]") {
    EmulatedDevice device;
    const Tensor x = random_tensor<float>({2, 7, 8, 3}, 7).to(kCuda),
                 dlogits = random_tensor<float>({2, 5}, 8).to(kCuda);
    for (const Rule& rule : rules()) {
        INFO(rule.name);
        const int overruns = EmulatedDevice::overruns();
        const Answers expected = on_the_tape(rule.model, x, dlogits);
        for (bool exact : {true, false}) {
            const Answers actual = planned(rule.model, x, dlogits, exact);
            CHECK(agree(actual.logits, expected.logits));
            CHECK(agree(actual.gradient, expected.gradient));
        }
        CHECK(EmulatedDevice::overruns() == overruns);
    }
}

TEST_CASE("with libraries a plan on the device folds batch norms into convolutions", "[cuda][plan][dnn]") {
    EmulatedDevice device;
    const Tensor x = random_tensor<float>({2, 7, 8, 3}, 7).to(kCuda),
                 dlogits = random_tensor<float>({2, 5}, 8).to(kCuda);
    for (const Rule& rule : rules()) {
        INFO(rule.name);
        const Answers expected = on_the_tape(rule.model, x, dlogits);
        const Libraries libraries;
        const int64_t before = libraries.dnn().calls();
        const Answers folded = planned(rule.model, x, dlogits, false);
        CHECK(libraries.dnn().calls() == before + rule.convolutions);
        CHECK(close(expected.logits, folded.logits));
        CHECK(close(expected.gradient, folded.gradient));
        // Folding rounds differently; an exact plan does as the tape does.
        const Answers exact = planned(rule.model, x, dlogits, true),
                      tape = on_the_tape(rule.model, x, dlogits);
        CHECK(close(exact.logits, tape.logits));
        CHECK(close(exact.gradient, tape.gradient));
        CHECK(agree(folded.logits, exact.logits) != rule.has_scales);
    }
}

TEST_CASE("a folded plan on the device notices weights that were written to", "[cuda][plan]") {
    EmulatedDevice device;
    const Libraries libraries;
    Tensor w = random_tensor<float>({5, 3, 3, 3}, 1).to(kCuda);
    const Tensor scale = random_tensor<float>({5}, 5).to(kCuda), x = random_tensor<float>({2, 7, 8, 3}, 7);
    BatchPlan plan({{1, 7, 8, 3}, Dtype::f32, kCuda}, {}, {}, [&](const Tensors& in) {
        return sum(relu(multiply_add(conv2d(in[0], w), scale, scale)), {1, 2});
    });
    plan.logits({x});
    CHECK(plan.is_current());
    w.copy_from(random_tensor<float>({5, 3, 3, 3}, 2).to(kCuda));
    CHECK_FALSE(plan.is_current());
    CHECK_THROWS_AS(plan.logits({x}), TapeError);
}
