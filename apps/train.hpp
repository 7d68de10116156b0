// `microtome train`: from images to a model file.
#pragma once

#include "tensor/device.hpp"

#include <map>
#include <string>

namespace microtome::apps {

struct TrainOptions {
    std::string out;  // the run's folder
    // What the command line said, by name, of train_settings(); what it did not say has the default, or, when
    // a run goes on, what it began with.
    std::map<std::string, std::string> given;
    bool resume = false;
    Device device = kCpu;  // where it calculates; a run may go on on another
    std::string json;      // a file for the result; empty: none
    bool quiet = false;
};

// Trains, and prints what was done, how well the model does on images it did not learn from, where things are
// and what to do next. Returns an ExitStatus. Leaves in the folder: config.json, split.json, metrics.jsonl,
// metrics.csv, a TensorBoard event file, checkpoint.safetensors and model.safetensors. Throws OptionsError
// for settings that make no sense or are not those a run began with, and what reading and writing throw.
int train(const TrainOptions& options);

}  // namespace microtome::apps
