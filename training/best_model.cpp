#include "training/best_model.hpp"

#include "base/json_writer.hpp"
#include "training/reduce_lr_on_plateau.hpp"

namespace microtome {
namespace {

// As few digits as read back to the same number.
std::string number(double value) {
    return JsonWriter().value(value).text();
}

}  // namespace

ModelCard with_record(ModelCard card, const EpochRecord& record) {
    auto& text = card.training;
    text["epoch"] = std::to_string(record.epoch);
    text["step"] = std::to_string(record.step);
    text["loss"] = number(record.loss);
    if (record.accuracy) text["accuracy"] = number(*record.accuracy);
    if (record.val_loss) text["val_loss"] = number(*record.val_loss);
    if (record.val_accuracy) text["val_accuracy"] = number(*record.val_accuracy);
    for (const auto& [name, value] : record.metrics) text[name] = number(value);
    return card;
}

void BestModel::epoch_ended(TrainingState& training, EpochRecord& record) {
    const double value = value_of(record, options_.monitor);
    tracker_.update(options_.larger_is_better ? -value : value);
    if (!tracker_.improved()) return;
    save_model(options_.path, training.model, with_record(options_.card, record));
    if (options_.written) options_.written(record);
}

NamedTensors BestModel::state() const {
    return {tracker_entry(tracker_.state())};
}

void BestModel::restore(const NamedTensors& state) {
    tracker_.restore(tracker_in(state));
}

}  // namespace microtome
