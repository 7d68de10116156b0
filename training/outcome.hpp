// What training and scoring do with a batch: run the objective, and look at how it went, later if the model
// is on a GPU.
#pragma once

#include "tensor/fetch.hpp"
#include "training/trainer.hpp"

#include <vector>

namespace microtome {

// A pass, and what the model's first run under it returns.
class WatchedPass {
  public:
    WatchedPass(const Module& model, uint64_t seed, int64_t step, std::vector<int64_t> ids);
    WatchedPass(const WatchedPass&) = delete;
    WatchedPass& operator=(const WatchedPass&) = delete;

    Pass pass;
    Tensor logits;
};

// The objective's losses. Throws ShapeError unless there is one for each image.
Tensor losses_of(const Objective& objective, Module& model, const Batch& batch, const Pass& pass);

// What there is to know of a batch, on its way from the device: its losses, whether the classes were hit, and
// more if wanted. The host waits when it looks.
class Outcome {
  public:
    // Targets that are no classes, and logits that are not (N, classes), cannot be hit.
    Outcome(const Batch& batch, const Tensor& losses, const Tensor& logits, const Tensors& more = {});

    // Adds it to EpochProgress or Scores.
    template <class Counts>
    void count(Counts& counts) {
        look();
        counts.images += images_;
        for (double loss : losses_) counts.loss += loss;
        counts.labelled += labelled_;
        counts.correct += correct_;
    }
    // more[i], on the CPU.
    const Tensor& further(std::size_t i) { return fetch_.get().at(3 + i); }

  private:
    void look();

    Fetch fetch_;
    int64_t images_, labelled_ = 0, correct_ = 0;
    std::vector<double> losses_;
};

}  // namespace microtome
