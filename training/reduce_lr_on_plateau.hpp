// Lowers the learning rate when a loss no longer falls.
#pragma once

#include "nn/schedules.hpp"
#include "training/callback.hpp"

namespace microtome {

// ReduceOnPlateau (nn/schedules.hpp) on an epoch's value, which is better when smaller. Not to be combined
// with a Schedule, which sets the rate itself.
class ReduceLrOnPlateau : public Callback {
  public:
    explicit ReduceLrOnPlateau(const PlateauOptions& options = {}, std::string monitor = "val_loss")
        : reduce_(options), monitor_(std::move(monitor)) {}
    std::string name() const override { return "reduce_lr"; }
    void epoch_ended(TrainingState& training, EpochRecord& record) override;
    NamedTensors state() const override;
    void restore(const NamedTensors& state) override;

  private:
    ReduceOnPlateau reduce_;
    std::string monitor_;
};

// A tracker's state as one entry, under "tracker", and back.
NamedTensor tracker_entry(const PlateauTracker::State& state);
PlateauTracker::State tracker_in(const NamedTensors& state);

}  // namespace microtome
