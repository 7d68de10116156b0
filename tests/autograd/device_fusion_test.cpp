// Plans on the device: which steps they fuse, and that fused and unfused agree.
#include "autograd/batch_plan.hpp"
#include "autograd/ops.hpp"
#include "autograd/plan/fuse.hpp"
#include "autograd/plan/traced_classifier.hpp"
#include "autograd/tape.hpp"
#include "tests/tensor/cuda_test_support.hpp"

#include <catch2/catch.hpp>
#include <cmath>

using namespace microtome;
using namespace microtome::testing;

namespace {

using Model = std::function<Tensor(const Tensor&)>;

// A function of images, and how often its plan has some steps, forward and back; gradients that meet are
// added.
struct Rule {
    std::string name;
    Shape image;  // (1, ...)
    Model model;
    std::vector<std::pair<std::string, int>> steps;
};

Tensor weights(const Shape& shape, uint64_t seed) {
    return random_tensor<float>(shape, seed, 0.5).to(kCuda);
}

std::vector<Rule> rules() {
    const Tensor w = weights({6, 5}, 1), turned = weights({5, 6}, 2), b = weights({5}, 3),
                 square = weights({6, 6}, 4), wide = weights({6}, 5);
    const Tensor filters = weights({4, 3, 3, 2}, 6), channels = weights({4}, 7),
                 same = weights({2, 3, 3, 2}, 8), two = weights({2}, 9);
    const ConvOptions padded{.pad_top = 1, .pad_bottom = 1, .pad_left = 1, .pad_right = 1};
    auto rows = [](const Tensor& x) { return reshape(x, {x.size(0), x.elements() / x.size(0)}); };
    return {
        {"a product alone", {1, 6}, [=](const Tensor& x) { return matmul(x, w); }, {{"matmul", 2}}},
        {"a bias",
         {1, 6},
         [=](const Tensor& x) { return matmul(x, turned, Transpose::no, Transpose::yes) + b; },
         {{"device_linear_stage", 1}, {"add", 0}}},
        {"bias and ReLU, back through the gate",
         {1, 6},
         [=](const Tensor& x) { return matmul(relu(matmul(x, square) + wide), w) + b; },
         {{"device_linear_stage", 2}, {"relu", 0}, {"apply_gate", 1}}},
        {"tokens: bias and residual behind a reshape",
         {1, 3, 6},
         [=](const Tensor& x) { return sum(matmul(x, square) + wide + x, {1}); },
         {{"device_linear_stage", 2}, {"add", 0}}},
        {"a sum that is read twice",
         {1, 6},
         [=](const Tensor& x) {
             const Tensor y = matmul(x, square) + wide;
             return relu(y) + y;
         },
         {{"device_linear_stage", 1}, {"relu", 1}}},
        {"a term for each row is no bias",
         {1, 6},
         [=](const Tensor& x) { return matmul(x, square) + sum(x, {1}, Axes::keep); },
         {{"matmul", 1}, {"device_linear_stage", 1}}},
        {"a convolution with bias and ReLU",
         {1, 5, 4, 2},
         [=](const Tensor& x) { return rows(relu(conv2d(x, filters, padded) + channels)); },
         {{"device_conv_stage", 1}, {"conv2d", 0}, {"relu", 0}}},
        {"a convolution with residual and ReLU",
         {1, 5, 4, 2},
         [=](const Tensor& x) { return rows(relu(x + (conv2d(x, same, padded) + two))); },
         {{"device_conv_stage", 1}, {"add", 1}, {"relu", 0}}},
        {"a ReLU before the residual",
         {1, 5, 4, 2},
         [=](const Tensor& x) { return rows(relu(conv2d(x, same, padded)) + x); },
         {{"device_conv_stage", 1}, {"add", 2}}},
    };
}

struct Answers {
    Tensor logits, gradient;
};
Answers planned(const Rule& rule, const Tensor& x, const Tensor& dlogits) {
    BatchPlan plan({rule.image, Dtype::f32, kCuda}, {}, {},
                   [&](const Tensors& in) { return rule.model(in[0]); });
    const Tensor logits = plan.logits({x});
    return {logits, plan.vjp(dlogits)};
}
Answers on_the_tape(const Rule& rule, const Tensor& x, const Tensor& dlogits) {
    Tape tape;
    tape.watch(x);
    const Tensor logits = rule.model(x);
    return {logits, tape.vjp({logits}, {dlogits}, {x})[0]};
}

double distance(const Tensor& a, const Tensor& b) {
    const Tensor x = a.to(kCpu), y = b.to(kCpu);
    double apart = 0, largest = 0;
    for (std::size_t i = 0; i < x.data<float>().size(); ++i) {
        apart = std::max(apart, static_cast<double>(std::abs(x.data<float>()[i] - y.data<float>()[i])));
        largest = std::max(largest, static_cast<double>(std::abs(y.data<float>()[i])));
    }
    return apart / largest;
}

}  // namespace

TEST_CASE("plans on the device fuse what follows a product, and keep the tape's bits", "[cuda][plan]") {
    EmulatedDevice device;
    for (const Rule& rule : rules()) {
        INFO(rule.name);
        plan::TracedClassifier traced("test", {rule.image, Dtype::f32, kCuda}, {}, {},
                                      [&](const Tensors& in) { return rule.model(in[0]); });
        plan::Graph graph = traced.trace(2).graph;
        plan::fuse_on_device(graph);
        for (const auto& [name, expected] : rule.steps) {
            int count = 0;
            for (const plan::Step& step : graph.steps) count += step.op->name == name;
            INFO(name);
            CHECK(count == expected);
        }
        for (int64_t n : {1, 3}) {
            const Tensor x = random_tensor<float>(rule.image.with(0, n), 11).to(kCuda);
            const Tensor dlogits = random_tensor<float>(rule.model(x).shape(), 12).to(kCuda);
            const int overruns = EmulatedDevice::overruns();
            {
                const Answers a = planned(rule, x, dlogits), b = on_the_tape(rule, x, dlogits);
                CHECK(agree(a.logits, b.logits));
                CHECK(agree(a.gradient, b.gradient));
            }
            CHECK(EmulatedDevice::overruns() == overruns);
            const Answers exact = on_the_tape(rule, x, dlogits);
            const cuda::emulation::Libraries libraries;
            const Answers fused = planned(rule, x, dlogits);
            CHECK(distance(fused.logits, exact.logits) < 1e-5);
            CHECK(distance(fused.gradient, exact.gradient) < 1e-5);
        }
    }
}

TEST_CASE("what fused steps read again is as it was: NaN, zeros, infinities", "[cuda][plan]") {
    EmulatedDevice device;
    const Tensor w = Tensor::of<float>({1, 0, 0, 1}, {2, 2}).to(kCuda);
    const Rule rule{"relu", {1, 2}, [&](const Tensor& x) { return relu(matmul(x, w)); }, {}};
    const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
    const Tensor x = Tensor::of<float>({0, -0.0f, nan, 1, -1, 2, inf, 3, -inf, 0}, {5, 2}).to(kCuda);
    const Tensor dlogits = Tensor::full({5, 2}, 2, Dtype::f32).to(kCuda);
    const Answers a = planned(rule, x, dlogits), e = on_the_tape(rule, x, dlogits);
    CHECK(agree(a.logits, e.logits));
    CHECK(agree(a.gradient, e.gradient));
}
