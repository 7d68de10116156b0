// `microtome model`: what a model is made of.
#pragma once

#include <cstdint>
#include <string>

namespace microtome::apps {

struct ModelInfoOptions {
    std::string architecture;  // either this, with the numbers below,
    std::string model;         // or a file
    int64_t classes = 5;
    int64_t size = 0;  // pixels a side; 0: the architecture's own
    std::string json;  // a file for the table; empty: none
};

// Prints the model's layers with output shapes for one image, parameters and multiply-adds, and what its file
// says about it. Returns an ExitStatus.
int model_info(const ModelInfoOptions& options);

}  // namespace microtome::apps
