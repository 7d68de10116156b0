// What `attack` and `evaluate` have in common: a list of attacks, run on chosen images, with rails.
#pragma once

#include "apps/evaluation_images.hpp"
#include "attacks/universal.hpp"
#include "evaluation/results.hpp"

#include <memory>
#include <string>
#include <vector>

namespace microtome::apps {

// An attack by name with what of the settings it can be told; "shuffled-pgd" is the shuffled control of pgd.
std::unique_ptr<Attack> make_listed_attack(const std::string& name,
                                           const std::vector<std::pair<std::string, std::string>>& settings);

// Whether it can be told such a setting.
bool listed_attack_has(const std::string& name, std::string_view setting);

// "at most 1,200 forward and 800 backward passes of one image".
std::string cost_text(const Passes& cost);

// Fits with a progress bar.
FitReport fit_showing(UniversalAttack& attack, Classifier& classifier, BatchSource& training, bool quiet);

struct EvaluationRun {
    std::vector<std::string> models;  // several answer together
    std::string voting;               // how; empty: mean-probability
    std::string data;
    int64_t batch = 32, n = 0;
    uint64_t seed = 0;
    std::vector<std::string> malignant;  // patterns of class names
    std::string witnesses;               // folder; empty: none
    std::string witnesses_seen;          // what it is called from where the results will be
    bool keep_all = false;
    bool exact = false;  // the tape's bits, more slowly
    Device device = kCpu;
    bool quiet = false;
};

struct EvaluationReport {
    Results results;
    bool complete = true;
    bool pass() const { return complete && results.pass(); }
};

// Prints as it goes: what is judged, the cost, then the table and the rails. Universal attacks are fitted
// first, on the model's training images; OptionsError where those are not known.
EvaluationReport run_evaluation(const EvaluationRun& run,
                                const std::vector<std::unique_ptr<Attack>>& attacks);

}  // namespace microtome::apps
