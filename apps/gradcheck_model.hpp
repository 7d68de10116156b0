// `microtome gradcheck --model`: is what an attack on this model follows the gradient?
#pragma once

#include "evaluation/gradient_audit.hpp"

#include <cstdint>
#include <string>

namespace microtome::apps {

struct GradcheckModelOptions {
    std::string model, data;
    int64_t images = 1;  // of the model's test images
    int64_t steps = 10;  // of the PGD attack whose places are looked at
    double epsilon = 8.0 / 255;
    uint64_t seed = 0;
    std::string json;      // a file for the places; empty: none
    Device device = kCpu;  // of the attack; its gradients are held against dual numbers on the CPU
    bool quiet = false;
};

// Prints a line for each place and the verdict. Throws what loading a model and a set of images throws.
GradientAudit audit_model(const GradcheckModelOptions& options);

// The same, and writes the places. Returns an ExitStatus: done only if the verdict is pass.
int check_model_gradients(const GradcheckModelOptions& options);

}  // namespace microtome::apps
