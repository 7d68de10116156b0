// Whole networks on the device: every kind of layer beside every other, with the CPU's bits, forward, back
// and twice back.
#include "autograd/ops/arithmetic.hpp"
#include "autograd/ops/losses.hpp"
#include "autograd/ops/reductions.hpp"
#include "autograd/tape.hpp"
#include "nn/classifier.hpp"
#include "nn/models/registry.hpp"
#include "tensor/random.hpp"
#include "tests/tensor/cuda_test_support.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

using namespace microtome;
using namespace microtome::testing;

namespace {

struct Network {
    const char* architecture;
    int64_t pixels;
    std::map<std::string, double> numbers;
    bool twice;  // whether its second derivatives are compared, too
    bool bits;   // whether bit by bit; the CPU's sums behind a pooling, as cnn trains with them, have another
                 // order
    bool large = false;  // more than an emulator gets through
};
const Network kNetworks[] = {
    {"cnn", 41, {{"channels", 2}}, true, false},
    {"resnet-small", 16, {{"channels", 2}}, true, true},
    {"vit-small",
     16,
     {{"patch", 8}, {"dimension", 6}, {"depth", 1}, {"heads", 2}, {"drop_path", 0.3}},
     true,
     true},
    {"densenet121", 32, {{"growth", 1}}, false, true},
    {"mobilenetv2", 32, {{"width", 0.05}}, false, true},
    {"vgg16", 32, {{"hidden", 8}}, false, false, true},  // the layers of cnn
};

struct Derivatives {
    Tensor logits, eval_logits;
    Tensors gradients;  // of images and weights, in train mode
    Tensors second;     // of the squared gradient of the images, by images and weights
};

Derivatives derivatives(const Network& network, Device device) {
    const ModelOptions options =
        complete_options(network.architecture, {.classes = 3,
                                                .image = {.height = network.pixels, .width = network.pixels},
                                                .numbers = network.numbers});
    const std::unique_ptr<Module> model = make_model(network.architecture, options);
    model->initialize(2);
    model->to(device);
    Tensor x(Spec{{2, network.pixels, network.pixels, 3}, Dtype::f32, kCpu});
    fill_uniform({.seed = 5}, x);
    x = x.to(device);
    const Tensor labels = Tensor::of<int64_t>({2, 0}, {2}).to(device);

    Derivatives result;
    result.eval_logits = (model->eval(), (*model)(x));
    model->train();
    Tensors wanted{x};
    for (const Tensor& weight : model->parameters()) wanted.push_back(weight);
    Tape outer;
    outer.watch(wanted);
    Tensor of_images;
    {
        Tape tape;
        tape.watch(wanted);
        result.logits = (*model)(x, {.seed = 3, .step = 1, .ids = {4, 9}});
        result.gradients = tape.gradient(cross_entropy(result.logits, labels), wanted);
    }
    if (!network.twice) return result;
    const Tensor& g = result.gradients[0];
    result.second = outer.gradient(sum(g * g), wanted);
    return result;
}

// The same bits, or a hundred thousandth of the largest element apart.
bool alike(const Network& network, const Tensor& a, const Tensor& b) {
    if (network.bits) return agree(a, b);
    const Tensor here = b.to(kCpu);
    double largest = 0, apart = 0;
    for (std::size_t i = 0; i < a.data<float>().size(); ++i) {
        largest = std::max(largest, std::abs(static_cast<double>(a.data<float>()[i])));
        apart = std::max(apart, std::abs(static_cast<double>(a.data<float>()[i]) - here.data<float>()[i]));
    }
    return apart <= 1e-5 * largest;
}

}  // namespace

TEST_CASE("networks of every kind have the CPU's logits and derivatives on the device", "[cuda][nn]") {
    EmulatedDevice device;
    const int overruns = EmulatedDevice::overruns(), misuses = EmulatedDevice::misuses();
    for (const Network& network : kNetworks) {
        if (network.large && !EmulatedDevice::is_gpu()) continue;
        INFO(network.architecture);
        const Derivatives here = derivatives(network, kCpu), there = derivatives(network, kCuda);
        CHECK(agree(here.eval_logits, there.eval_logits));
        CHECK(alike(network, here.logits, there.logits));
        REQUIRE(here.gradients.size() == there.gradients.size());
        for (std::size_t i = 0; i < here.gradients.size(); ++i)
            CHECK(alike(network, here.gradients[i], there.gradients[i]));
        REQUIRE(here.second.size() == there.second.size());
        for (std::size_t i = 0; i < here.second.size(); ++i)
            CHECK(alike(network, here.second[i], there.second[i]));
    }
    CHECK(EmulatedDevice::overruns() == overruns);
    CHECK(EmulatedDevice::misuses() == misuses);
}
