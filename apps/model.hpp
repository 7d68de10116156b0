// `microtome model`: what a model is made of.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

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

struct ModelConvertOptions {
    std::string from;                  // weights from elsewhere: safetensors, .pth, .npz
    std::string out;                   // the model file
    std::string architecture;          // what the weights belong to
    std::vector<std::string> classes;  // their names, or one number: how many there are
    std::string range;                 // "0,1": what black and white were in training
    std::string normalize;             // "imagenet", "none", "mean,mean,mean/deviation,deviation,deviation"
    int64_t size = 0;                  // pixels a side; 0: the architecture's own
    int64_t channels = 3;
    bool resize = false;               // whether the model takes images of other sizes
    std::vector<std::string> numbers;  // of the architecture: "dropout=0.2"
};

// Makes of weights from elsewhere, and of what the options state about them, a model file that describes
// itself. Returns an ExitStatus. Throws what load_model() throws, and OptionsError for what does not read as
// above.
int model_convert(const ModelConvertOptions& options);

}  // namespace microtome::apps
