// What watches a training and may steer it: between epochs, mostly.
#pragma once

#include "nn/module.hpp"
#include "nn/optimizers.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace microtome {

// One epoch as the logs have it. Means are over images; those of training are of the batches as they were
// met, each by the weights of its own step.
struct EpochRecord {
    int64_t epoch = 0;  // from 1
    int64_t step = 0;   // optimizer steps since the training began
    double loss = 0;
    std::optional<double> accuracy{};                  // where targets are classes
    std::optional<double> val_loss{}, val_accuracy{};  // where there are validation images
    double lr = 0;                                     // of the last step
    double seconds = 0;                                // spent on it, pauses left out
    double ended = 0;                                  // seconds since 1970
    std::map<std::string, double> metrics{};           // of one's own

    friend bool operator==(const EpochRecord&, const EpochRecord&) = default;
};

// "loss", "accuracy", "val_loss", "val_accuracy" or a metric of one's own. Throws OptionsError where the
// epoch has none of that name.
double value_of(const EpochRecord& record, const std::string& name);

// One step, once the weights have moved.
struct StepRecord {
    int64_t epoch = 0;         // from 1
    int64_t step = 0;          // from 0, since the training began
    double loss = 0;           // mean over the batch
    double gradient_norm = 0;  // of all gradients taken as one vector, before clipping
    double lr = 0;
};

// What a callback may look at and change.
struct TrainingState {
    Module& model;  // in eval mode; where weights are averaged, with the averages in place between epochs
    Optimizer& optimizer;
    const std::vector<EpochRecord>& history;  // the epochs that ended before this one
    int64_t epochs = 0;                       // that were asked for
    bool stop = false;                        // set it to end the training after this epoch
    std::string why{};                        // and say why
};

// Callbacks run in the order in which they were added. One that calculates a metric comes before one that
// monitors it.
class Callback {
  public:
    virtual ~Callback() = default;

    // What its state is filed under in checkpoints: two in one training may not share it.
    virtual std::string name() const = 0;

    // Before the first epoch, or the first after an interruption.
    virtual void began(TrainingState&) {}
    // On a GPU the next step is on its way by then.
    virtual void step_ended(TrainingState&, const StepRecord&) {}
    // The epoch is over and validated. Metrics added to the record appear in the logs.
    virtual void epoch_ended(TrainingState&, EpochRecord&) {}
    // No epoch is left, or a callback stopped the training. Not after an interruption.
    virtual void ended(TrainingState&) {}

    // All that must survive an interruption, and its return. restore() throws FormatError for what is no such
    // state.
    virtual NamedTensors state() const { return {}; }
    virtual void restore(const NamedTensors&) {}
};

// For state() and restore(): whole or fractional numbers as one tensor, and back.
NamedTensor numbers_entry(const std::string& name, const std::vector<double>& values);
std::vector<double> numbers_in(const NamedTensors& state, const std::string& name, std::size_t count);

}  // namespace microtome
