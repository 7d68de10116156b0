#include "training/reduce_lr_on_plateau.hpp"

namespace microtome {

NamedTensor tracker_entry(const PlateauTracker::State& state) {
    return numbers_entry("tracker", {state.best, static_cast<double>(state.best_epoch),
                                     static_cast<double>(state.epoch), static_cast<double>(state.waited)});
}

PlateauTracker::State tracker_in(const NamedTensors& state) {
    const std::vector<double> numbers = numbers_in(state, "tracker", 4);
    return {.best = numbers[0],
            .best_epoch = static_cast<int64_t>(numbers[1]),
            .epoch = static_cast<int64_t>(numbers[2]),
            .waited = static_cast<int64_t>(numbers[3])};
}

void ReduceLrOnPlateau::epoch_ended(TrainingState& training, EpochRecord& record) {
    const double lr = training.optimizer.learning_rate();
    training.optimizer.set_learning_rate(reduce_.update(value_of(record, monitor_), lr));
}

NamedTensors ReduceLrOnPlateau::state() const {
    const ReduceOnPlateau::State state = reduce_.state();
    return {tracker_entry(state.tracker), numbers_entry("cooling", {static_cast<double>(state.cooling)})};
}

void ReduceLrOnPlateau::restore(const NamedTensors& state) {
    reduce_.restore({tracker_in(state), static_cast<int64_t>(numbers_in(state, "cooling", 1)[0])});
}

}  // namespace microtome
