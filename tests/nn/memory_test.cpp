// What a gradient costs in memory: the lung study's network, 32 images of 180 x 180 pixels.
#include "autograd/ops/losses.hpp"
#include "autograd/ops/reductions.hpp"
#include "autograd/plan.hpp"
#include "autograd/tape.hpp"
#include "nn/models/cnn.hpp"

#include <catch2/catch.hpp>
#include <iomanip>
#include <iostream>

namespace microtome {
namespace {

constexpr int64_t kBatch = 32;

struct Cost {
    std::size_t saved,
        peak;  // bytes kept for the vjps; the most that tensors held, less what they held before
};

// Watches `watched`, runs `loss`, takes the gradients.
Cost cost_of(const Tensors& watched, const std::function<Tensor()>& loss) {
    const std::size_t held = memory_use().current;
    reset_peak_memory();
    Tape tape;
    tape.watch(watched);
    const Tensor y = loss();
    const std::size_t saved = tape.saved_bytes();
    tape.gradient(y, watched, Tape::After::release);
    return {saved, memory_use().peak - held};
}

}  // namespace

TEST_CASE("an input gradient keeps nothing for weight gradients", "[memory]") {
    Cnn model;
    model.initialize(1);
    const Tensor x = Tensor::full({kBatch, 180, 180, 3}, 0.5), labels = Tensor::zeros({kBatch}, Dtype::i64);

    const Cost attack = cost_of({x}, [&] { return cross_entropy(model(x), labels); });
    model.train();
    const Cost training = cost_of(model.parameters(), [&] { return mean(cross_entropy(model(x), labels)); });
    model.eval();
    const Plan plan = Plan::trace({x.spec(), labels.spec()}, [&](const Tensors& in) -> Tensors {
        Tape tape;
        tape.watch(in[0]);
        return {tape.gradient(cross_entropy(model(in[0]), in[1]), in[0])};
    });

    auto megabytes = [](std::size_t bytes) { return static_cast<double>(bytes) / 1e6; };
    std::cout << std::fixed << std::setprecision(1) << "lung CNN, batch " << kBatch
              << ", MB: input gradient saves " << megabytes(attack.saved) << ", peak "
              << megabytes(attack.peak) << " (as a plan " << megabytes(plan.arena_bytes())
              << "); training saves " << megabytes(training.saved) << ", peak " << megabytes(training.peak)
              << '\n'
              << std::defaultfloat;

    // A bit per ReLU, a byte per maximum, the weights, and some numbers per image or channel.
    const std::size_t relu_bits = kBatch * (180 * 180 * 32 + 90 * 90 * 64 + 43 * 43 * 64 + 19 * 19 * 64 + 64);
    const std::size_t maxima = kBatch * (90 * 90 * 32 + 45 * 45 * 64 + 21 * 21 * 64 + 9 * 9 * 64);
    const std::size_t weights = 425669 * sizeof(float);
    CHECK(attack.saved > relu_bits / 8 + maxima);
    CHECK(attack.saved < relu_bits / 8 + maxima + weights + 10000);
    // Training reads the input of every convolution and dense layer again.
    const std::size_t activations =
        sizeof(float) * kBatch * (180 * 180 * 3 + 90 * 90 * 32 + 45 * 45 * 64 + 21 * 21 * 64);
    CHECK(training.saved > maxima + activations);
    CHECK(training.saved < maxima + activations + weights + 2'000'000);

    // Two arrays of the first convolution's size live at once on the tape; in a plan one, and its pooled
    // form; in training, where convolution and pooling are one op, none.
    const std::size_t largest = sizeof(float) * kBatch * 180 * 180 * 32;
    CHECK(attack.peak < 2 * largest + attack.saved + 30'000'000);
    CHECK(plan.arena_bytes() < largest * 3 / 2);
    CHECK(training.peak < largest);
}

}  // namespace microtome
