// What commands that train have in common: a run's folder, its images, its first and last words.
#pragma once

#include "apps/run_settings.hpp"
#include "data/loader.hpp"
#include "data/split.hpp"
#include "nn/model_file.hpp"
#include "training/recipe.hpp"

namespace microtome::apps {

bool exists(const std::string& path);

// Throws OptionsError for a folder that holds a run or a model already.
void require_new_run(const std::string& folder);

// What says that here is a run: split.json, then config.json, which is what --resume looks for. Throws
// IoError.
void write_beginning(const std::string& folder, const RunSettings& settings, const ModelCard& card,
                     const Dataset& data, const Split& split, const SplitOptions& split_options);

// The split in a run's folder; OptionsError where the images are not those that it began with.
StoredSplit split_of_run(const std::string& folder, const Dataset& data);

// In the size that the model looks at, and on its device: to train on, shuffled and augmented, or to judge.
LoaderOptions training_images(const ModelCard& card, const Recipe& recipe, Device device = kCpu);
LoaderOptions judged_images(const ModelCard& card, const Recipe& recipe, Device device = kCpu);

// Prints the damaged files, where there are any.
void report_skipped(const Loader& loader);

// Says on standard error that the command was interrupted `where` and how to go on; returns the exit status.
int say_interrupted(const RunSettings& settings, const std::string& folder, const std::string& where);

}  // namespace microtome::apps
