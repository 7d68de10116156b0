// `microtome attack`: attacks on a model's answers to a set of images, and what is left of its accuracy.
#pragma once

#include "tensor/device.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace microtome::apps {

struct AttackCommand {
    std::vector<std::string> models;  // several answer together
    std::string voting;               // how; empty: mean-probability
    std::string data;
    std::vector<std::string> attacks{"pgd"};
    std::vector<std::string> epsilons{"8/255"};
    std::string norm;      // empty: each attack's own; so are
    std::string steps;     // these
    std::string restarts;  //
    int64_t batch = 32;
    int64_t n = 0;  // images; 0: all
    uint64_t seed = 0;
    std::vector<std::string> malignant{"*_aca", "*_scc"};  // patterns of class names
    std::string save;                                      // folder for the attacked images; empty: none
    std::string json;                                      // file for the results; empty: none
    bool exact = false;                                    // the tape's bits, more slowly
    Device device = kCpu;
    bool quiet = false;
};

// Prints clean accuracy, a row for each attack and epsilon, and the rails. Returns an ExitStatus:
// kCheckFailed when a rail failed or the run was interrupted. Throws OptionsError for attacks and settings
// that there are not, and what readers and attacks throw.
int attack(const AttackCommand& options);

}  // namespace microtome::apps
