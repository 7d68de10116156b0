// An epoch's numbers on disk, three ways:
//
//     metrics.jsonl                       an object a line
//     metrics.csv                         a row an epoch below one of names
//     events.out.tfevents.0.microtome     for `tensorboard --logdir RUN`
//
// each with epoch, step, loss, accuracy, val_loss, val_accuracy, lr, seconds, and metrics of one's own. What
// there is not is null, empty, and absent.
#pragma once

#include "training/callback.hpp"

namespace microtome {

inline constexpr const char* kJsonLog = "metrics.jsonl";
inline constexpr const char* kCsvLog = "metrics.csv";
inline constexpr const char* kEventLog = "events.out.tfevents.0.microtome";

// With their lines' ends. The columns of a CSV file are those of the training's first epoch.
std::string json_line(const EpochRecord& record);
std::string csv_header(const EpochRecord& first);
std::string csv_line(const EpochRecord& record, const EpochRecord& first);

// Writes the logs into a folder, which must exist: whole when a training begins, from the epochs there are,
// so that what an interruption cut or left over is put right; then a row an epoch. Comes behind callbacks
// that add metrics. Throws IoError.
class Logs : public Callback {
  public:
    explicit Logs(std::string folder) : folder_(std::move(folder)) {}
    std::string name() const override { return "logs"; }
    void began(TrainingState& training) override;
    void epoch_ended(TrainingState& training, EpochRecord& record) override;

  private:
    std::string folder_;
};

}  // namespace microtome
