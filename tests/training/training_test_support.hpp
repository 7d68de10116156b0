// What the tests of trainings share: little data that can be learned, and a little model.
#pragma once

#include "nn/dropout.hpp"
#include "nn/layers.hpp"
#include "nn/normalization.hpp"
#include "tests/nn/model_test_support.hpp"
#include "training/trainer.hpp"

namespace microtome::test {

// Grey images (N, 4, 4, 1) of two classes: noise, brighter above in class 0 and below in class 1.
inline Batch halves(int64_t n, uint64_t seed = 1) {
    Batch batch{.images = images({n, 4, 4, 1}, seed)};
    std::vector<int64_t> labels;
    for (int64_t i = 0; i < n; ++i) {
        labels.push_back(i % 2);
        batch.ids.push_back(i);
    }
    auto pixels = batch.images.mutable_data<float>();
    for (std::size_t i = 0; i < pixels.size(); ++i) {
        const bool above = i % 16 < 8, second = i / 16 % 2;
        pixels[i] = 0.6f * pixels[i] + (above != second ? 0.4f : 0);
    }
    batch.targets = Tensor::of(labels, {n});
    return batch;
}

// With everything that a training must not lose: batch norm's buffers, dropout's draws.
class SmallNet : public Sequential {
  public:
    explicit SmallNet(uint64_t seed = 1) {
        then<Conv2d>(1, 4, Conv2dOptions{.padding = 1}).then<BatchNorm>(4).then<Relu>();
        then<Flatten>().then<Dropout>(0.2).then<Linear>(64, 2);
        initialize(seed);
    }
};

// Overwrites what an epoch measured with what a test wants it to have been.
class Script : public Callback {
  public:
    explicit Script(std::vector<double> val_losses) : val_losses_(std::move(val_losses)) {}
    std::string name() const override { return "script"; }
    void epoch_ended(TrainingState&, EpochRecord& record) override {
        record.val_loss = val_losses_.at(static_cast<std::size_t>(record.epoch - 1));
    }

  private:
    std::vector<double> val_losses_;
};

inline std::vector<double> losses_of(const std::vector<EpochRecord>& history) {
    std::vector<double> result;
    for (const EpochRecord& record : history) result.push_back(record.loss);
    return result;
}

}  // namespace microtome::test
