// Whether colour gives the class of built-in tissue away: linear classifiers on colour alone must not do
// well.
#include "autograd/ops.hpp"
#include "autograd/tape.hpp"
#include "data/tissue.hpp"
#include "nn/layers.hpp"
#include "nn/optimizers.hpp"
#include "tensor/kernels/context.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <functional>

using namespace microtome;

namespace {

constexpr int64_t kClasses = 5, kSize = 48;
constexpr int64_t kTraining = 160 * kClasses, kTest = 80 * kClasses;  // images; class i % 5

const std::vector<Tensor>& images() {
    static const std::vector<Tensor> drawn = [] {
        std::vector<Tensor> result(kTraining + kTest);
#pragma omp parallel for schedule(dynamic)
        for (int64_t i = 0; i < kTraining + kTest; ++i)
            result[static_cast<std::size_t>(i)] =
                draw_tissue(static_cast<TissueClass>(i % kClasses), i / kClasses, kSize, 2024);
        return result;
    }();
    return drawn;
}

using Features = std::vector<float>;

Features mean_colour(std::span<const uint8_t> pixels) {
    Features mean(3);
    for (std::size_t i = 0; i < pixels.size(); ++i) mean[i % 3] += static_cast<float>(pixels[i]) / 255;
    for (float& x : mean) x /= static_cast<float>(pixels.size() / 3);
    return mean;
}

// Four levels of red times four of green times four of blue: the share of pixels in each.
Features joint_histogram(std::span<const uint8_t> pixels) {
    Features shares(64);
    for (std::size_t i = 0; i < pixels.size(); i += 3)
        shares[static_cast<std::size_t>(pixels[i] / 64 * 16 + pixels[i + 1] / 64 * 4 + pixels[i + 2] / 64)] +=
            3.0f / static_cast<float>(pixels.size());
    return shares;
}

// Sixteen levels of each channel by itself.
Features channel_histograms(std::span<const uint8_t> pixels) {
    Features shares(48);
    for (std::size_t i = 0; i < pixels.size(); ++i)
        shares[i % 3 * 16 + pixels[i] / 16] += 3.0f / static_cast<float>(pixels.size());
    return shares;
}

// Test accuracy of softmax regression on standardised features. `change` is done to each image first.
double linear_accuracy(Features (*features)(std::span<const uint8_t>),
                       const std::function<void(std::span<uint8_t>, int64_t)>& change = {}) {
    std::vector<Features> rows;
    for (int64_t i = 0; i < kTraining + kTest; ++i) {
        Tensor image = images()[static_cast<std::size_t>(i)].clone();
        if (change) change(image.mutable_data<uint8_t>(), i % kClasses);
        rows.push_back(features(image.data<uint8_t>()));
    }
    const auto width = rows[0].size();
    for (std::size_t j = 0; j < width; ++j) {
        double sum = 0, squares = 0;
        for (int64_t i = 0; i < kTraining; ++i) sum += rows[static_cast<std::size_t>(i)][j];
        const double mean = sum / kTraining;
        for (int64_t i = 0; i < kTraining; ++i)
            squares +=
                (rows[static_cast<std::size_t>(i)][j] - mean) * (rows[static_cast<std::size_t>(i)][j] - mean);
        const double deviation = std::sqrt(squares / kTraining) + 1e-6;
        for (Features& row : rows) row[j] = static_cast<float>((row[j] - mean) / deviation);
    }
    std::vector<float> all;
    std::vector<int64_t> labels;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        all.insert(all.end(), rows[i].begin(), rows[i].end());
        labels.push_back(static_cast<int64_t>(i) % kClasses);
    }
    const Tensor x = Tensor::of(all, {kTraining + kTest, static_cast<int64_t>(width)});
    const Tensor y = Tensor::of(labels, {kTraining + kTest});
    const ThreadLimit one(1);  // small products: waiting for others takes longer
    Linear model(static_cast<int64_t>(width), kClasses);
    model.initialize(1);
    Adam adam(model, {.lr = 0.1, .weight_decay = 1e-3});
    for (int step = 0; step < 200; ++step) {
        if (step == 150) adam.set_learning_rate(0.01);
        Tape tape;
        tape.watch(model.parameters());
        const Tensor loss = mean(cross_entropy(model(slice(x, 0, 0, kTraining)), slice(y, 0, 0, kTraining)));
        const Tensors gradients = tape.gradient(loss, model.parameters());
        adam.step(gradients);
        if (step == 199) CHECK(clip_by_norm(gradients, 1).norm < 0.02);  // as good as it gets
    }
    const Tensor logits = model(slice(x, 0, kTraining, kTraining + kTest));
    int64_t right = 0;
    for (int64_t i = 0; i < kTest; ++i) {
        const float* z = logits.data<float>().data() + i * kClasses;
        right += std::max_element(z, z + kClasses) - z == i % kClasses;
    }
    return static_cast<double>(right) / kTest;
}

}  // namespace

TEST_CASE("the colour of tissue does not tell its class", "[tissue]") {
    const double by_mean = linear_accuracy(mean_colour);
    const double by_joint = linear_accuracy(joint_histogram),
                 by_channels = linear_accuracy(channel_histograms);
    INFO(by_mean << ' ' << by_joint << ' ' << by_channels);
    CHECK(by_mean < 0.5);
    CHECK(by_joint < 0.7);
    CHECK(by_channels < 0.7);
    CHECK(by_mean > 0.25);  // it does learn: air is bright
}

// The limits above can be broken: a laboratory that makes one class's slides a little darker breaks them.
TEST_CASE("if each tissue had a tint of its own, colour would tell", "[tissue]") {
    const auto tint = [](std::span<uint8_t> pixels, int64_t label) {
        for (std::size_t i = 0; i < pixels.size(); ++i)
            if (i % 3 == static_cast<std::size_t>(label % 3))
                pixels[i] = static_cast<uint8_t>(pixels[i] * (label < 3 ? 6 : 7) / 10);
    };
    const double by_mean = linear_accuracy(mean_colour, tint);
    const double by_joint = linear_accuracy(joint_histogram, tint);
    INFO(by_mean << ' ' << by_joint);
    CHECK(by_mean > 0.6);
    CHECK(by_joint > 0.8);
}
