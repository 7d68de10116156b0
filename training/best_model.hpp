// Keeps the best model so far in a file.
#pragma once

#include "nn/model_file.hpp"
#include "nn/schedules.hpp"
#include "training/callback.hpp"

#include <functional>

namespace microtome {

struct BestModelOptions {
    std::string path;  // of the model file
    ModelCard card;    // which gets the epoch and its values in its training record
    std::string monitor = "val_loss";
    bool larger_is_better = false;
    double min_delta = 0;                               // an improvement is more than this
    std::function<void(const EpochRecord&)> written{};  // called when the file is there
};

// Writes the model after each epoch whose value is better than all before, and after no other.
class BestModel : public Callback {
  public:
    explicit BestModel(BestModelOptions options)
        : options_(std::move(options)), tracker_(1, options_.min_delta) {}
    std::string name() const override { return "best_model"; }
    void epoch_ended(TrainingState& training, EpochRecord& record) override;
    NamedTensors state() const override;
    void restore(const NamedTensors& state) override;

    int64_t best_epoch() const { return tracker_.best_epoch(); }  // from 1; 0: none yet

  private:
    BestModelOptions options_;
    PlateauTracker tracker_;
};

// The card with what an epoch's record says added to its training record, but for what depends on the clock.
ModelCard with_record(ModelCard card, const EpochRecord& record);

}  // namespace microtome
