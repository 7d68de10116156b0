// A whole study: images, training, attacks, hardening, the rails, results.json and report.html.
//
// Everything goes into one folder. A study that was interrupted, or killed, goes on where it was when it is
// run again into the same folder; what is finished is not done twice.
//
//     RUN/preset.toml                    as it was read
//     RUN/split.json                     which image is in which part
//     RUN/baseline/, RUN/NAME/           a model each (also member-2, ... of an ensemble): model.safetensors,
//     checkpoint, metrics.*, events RUN/universal/NAME.safetensors     perturbations and patches that were
//     fitted RUN/attacks/MODEL/                 what each attack did, image by image
//     RUN/witnesses/MODEL/ATTACK/        each counted failure as a picture
//     RUN/results.json, RUN/report.html
#pragma once

#include "base/progress.hpp"
#include "evaluation/results.hpp"
#include "studies/preset.hpp"

#include <iosfwd>

namespace microtome {

struct StudyOptions {
    std::string data{};     // as open_dataset() takes it; empty: the built-in tissue
    std::string out;        // the folder
    std::string init{};     // weights for the baseline to begin with, in place of the preset's
    std::string command{};  // as it was typed, for the report
    Device device = kCpu;   // where models calculate; what published code is compared with, on the CPU
    int threads = 0;        // that read images; 0: as many as calculate
    ProgressOptions progress{.quiet = true};
    std::ostream* log = nullptr;  // for a line or two about each stage
};

struct StudyOutcome {
    Results results;
    std::string report;        // path
    bool interrupted = false;  // then there are neither results nor report yet
};

// Throws what reading, training and attacking throw; OptionsError where the folder holds another study, or
// the data has no class or part that the preset needs.
StudyOutcome run_study(const Preset& preset, const StudyOptions& options);

}  // namespace microtome
