// A model's steps measured: forward, input gradient, training.
#pragma once

#include "apps/measure.hpp"
#include "tensor/device.hpp"

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

namespace microtome::apps {

// What is measured, on thread_limit() threads:
//
//     forward              logits in eval mode, by the plan that attacks use (autograd/image_plan.hpp)
//     input_gradient       eval mode: the gradient of the summed cross-entropy by the images, by that plan
//     exact_input_gradient the same by the plan with the tape's bits
//     tape_input_gradient  the same on the tape
//     attack               PGD with 10 steps against a classifier, on images where the model is
//     training             train mode: gradients of all weights by the mean cross-entropy, and a step of Adam
struct StepOptions {
    std::string architecture = "cnn";  // the lung study's
    int64_t batch = 0;                 // images in a step; 0: 32 for cnn, 8 for others
    int64_t size = 0;                  // pixels a side; 0: the architecture's own
    std::vector<std::string> steps{};  // of those above; empty: all
    Device device = kCpu;              // on a GPU the plan is autograd/batch_plan.hpp's, which is exact
};

// Operations are those of the direct convolutions and products: one pass forward, two for the input gradient,
// three for training less the gradient of the images; an attack is ten input gradients. Prints a table,
// appends its rows. Some ten seconds for each step. Throws OptionsError for names it does not know and
// numbers below 0.
int bench_step(const StepOptions& options, std::ostream& out, std::vector<BenchRow>& rows);

}  // namespace microtome::apps
