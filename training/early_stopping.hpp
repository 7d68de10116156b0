// Ends a training that no longer gets better, and goes back to where it was best.
#pragma once

#include "nn/schedules.hpp"
#include "training/callback.hpp"

namespace microtome {

struct EarlyStoppingOptions {
    int64_t patience = 5;              // epochs without improvement, in a row
    double min_delta = 0;              // an improvement is more than this
    std::string monitor = "val_loss";  // better when smaller
    bool restore_best = true;
};

// When the training ends, for whatever reason, the model has the weights and buffers of its best epoch,
// unless restore_best is false.
class EarlyStopping : public Callback {
  public:
    explicit EarlyStopping(const EarlyStoppingOptions& options = {})
        : options_(options), tracker_(options.patience, options.min_delta) {}
    std::string name() const override { return "early_stopping"; }
    void epoch_ended(TrainingState& training, EpochRecord& record) override;
    void ended(TrainingState& training) override;
    NamedTensors state() const override;
    void restore(const NamedTensors& state) override;

    int64_t best_epoch() const { return tracker_.best_epoch(); }  // from 1; 0: none yet

  private:
    EarlyStoppingOptions options_;
    PlateauTracker tracker_;
    NamedTensors best_;  // the model's state after best_epoch(); empty where it is not wanted
};

}  // namespace microtome
