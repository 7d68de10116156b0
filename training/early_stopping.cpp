#include "training/early_stopping.hpp"

#include "base/error.hpp"
#include "training/reduce_lr_on_plateau.hpp"

namespace microtome {
namespace {

constexpr std::string_view kBest = "best.";

}  // namespace

void EarlyStopping::epoch_ended(TrainingState& training, EpochRecord& record) {
    const bool plateau = tracker_.update(value_of(record, options_.monitor));
    if (tracker_.improved() && options_.restore_best) best_ = training.model.state();
    if (!plateau) return;
    training.stop = true;
    training.why =
        str(options_.monitor, " was best in epoch ", tracker_.best_epoch(), " and did not improve in ",
            options_.patience, options_.patience == 1 ? " epoch" : " epochs", " since");
}

void EarlyStopping::ended(TrainingState& training) {
    if (!best_.empty()) training.model.load(best_);
}

NamedTensors EarlyStopping::state() const {
    NamedTensors result{tracker_entry(tracker_.state())};
    for (const NamedTensor& entry : best_) result.push_back({str(kBest, entry.name), entry.tensor});
    return result;
}

void EarlyStopping::restore(const NamedTensors& state) {
    tracker_.restore(tracker_in(state));
    best_.clear();
    for (const NamedTensor& entry : state)
        if (entry.name.starts_with(kBest)) best_.push_back({entry.name.substr(kBest.size()), entry.tensor});
    if (options_.restore_best && tracker_.best_epoch() > 0 && best_.empty())
        throw FormatError("restore", "expected the weights of the best epoch, got none");
}

}  // namespace microtome
