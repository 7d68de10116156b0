// `microtome evaluate`: all that can be said about a model on a set of images, clean and under a suite of
// attacks.
#pragma once

#include "tensor/device.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace microtome::apps {

struct EvaluateOptions {
    std::vector<std::string> models;  // several answer together
    std::string voting;               // how; empty: mean-probability
    std::string data;
    std::string suite = "quick";
    std::string run;  // folder for results.json and witnesses
    int64_t batch = 32;
    int64_t n = 0;  // images; 0: the suite's own number
    uint64_t seed = 0;
    int64_t gradient_audit = 0;  // images on which the gradients that attacks follow are checked
    std::vector<std::string> malignant{"*_aca", "*_scc"};  // patterns of class names
    bool exact = false;                                    // the tape's bits, more slowly
    Device device = kCpu;
    bool quiet = false;
};

// The suites that there are.
std::vector<std::string> evaluation_suites();

// Prints metrics, rows and rails, and writes results.json and the witnesses into the run's folder. Returns an
// ExitStatus as attack() does.
int evaluate_model(const EvaluateOptions& options);

}  // namespace microtome::apps
