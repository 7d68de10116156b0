// The stages that studies are made of. Each leaves what it made in the study's folder and finds it there when
// it is asked again.
#pragma once

#include "data/loader.hpp"
#include "data/split.hpp"
#include "evaluation/robust_accuracy.hpp"
#include "nn/transfer.hpp"
#include "studies/study.hpp"
#include "training/trainer.hpp"

#include <memory>
#include <optional>

namespace microtome {

// What the stages of one study share.
struct StudyRun {
    const Preset& preset;
    const StudyOptions& options;

    std::unique_ptr<Dataset> data{};
    Split split{};
    SplitOptions split_options{};
    std::vector<int64_t> left_out{};  // of training and validation: their copies are in a part that judges

    std::string folder(const std::string& name) const;  // below the study's, made where there is none
    void say(const std::string& line) const;

    // The images of a part, as they are, `batch` at a time.
    Loader images(const std::vector<int64_t>& part, int64_t batch, Device device = kCpu) const;
};

inline constexpr int64_t kAttackBatch = 50;

// Where a model's counted failures are kept, seen from the study's folder.
std::string witnesses_of(const std::string& model);

// Opens the data, finds copies that its groups do not know, draws or reads the split, and leaves out of
// training what has a copy in the test or validation part. Sees that another study is not in the folder.
// False when interrupted.
bool open_data(StudyRun& run);

struct TrainedModel {
    std::string name{};  // "baseline"
    LoadedModel loaded{};
    std::vector<EpochRecord> history{};
    int64_t kept_epoch = 0;  // whose weights these are
    std::map<std::string, std::string> recipe{};
};

// How a training differs from cross entropy on images.
struct TrainingVariant {
    Objective objective{};
    Craft craft{};
    BatchSource* source = nullptr;            // instead of the training part
    const TrainedModel* start = nullptr;      // whose weights it begins with; none: initial ones
    std::map<std::string, double> numbers{};  // of the architecture, besides the preset's
    const ModelPreset* model = nullptr;       // another one than the preset's
};

// The preset's model with its first weights: the given ones, or by the recipe's seed.
LoadedModel new_model(const StudyRun& run, const Recipe& recipe);

// Trains, or goes on, or reads what was trained. Nothing when it was interrupted.
std::optional<TrainedModel> train_stage(const StudyRun& run, const std::string& name, const Recipe& recipe,
                                        const TrainingVariant& variant = {});

// All attacks on one model's test images, those that were made already read from the folder, and an attack
// without bounds on some of them. Nothing when it was interrupted.
struct AttackedModel {
    Evaluation evaluation;
    Share unbounded;
};
std::optional<AttackedModel> attack_stage(const StudyRun& run, const std::string& model,
                                          Classifier& classifier, const std::vector<const Attack*>& attacks);

}  // namespace microtome
