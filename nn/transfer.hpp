// Fine-tuning: a model that begins with the weights of another training, of a model file or from elsewhere
// (nn/weights.hpp).
//
//     const GivenWeights given = read_given_weights("resnet50.pth");
//     const Inherited inherited = inherit(*model, card, given);    // all but the head, for other classes
#pragma once

#include "nn/model_file.hpp"
#include "nn/weights.hpp"

#include <optional>
#include <string>
#include <vector>

namespace microtome {

struct GivenWeights {
    std::string path;
    WeightsFile file;
    std::optional<ModelCard> card{};  // of a file that describes its model
    uint64_t hash = 0;                // of the file
};

// Throws what read_weights() and load_model() throw.
GivenWeights read_given_weights(const std::string& path);

struct Inherited {
    std::vector<std::string> anew{};   // weights that stay as the model had them: those of its head
    std::vector<std::string> notes{};  // how the file's were made to fit
};

// Puts the given weights in the place of the model's, which has elements already (initialize()) and is what
// `card` says. The head, all weights whose shape depends on the number of classes, stays as it is where the
// file lacks one of them or has it for another number of classes. Throws FormatError, before anything has
// changed, naming the key that fits nowhere.
Inherited inherit(Module& model, const ModelCard& card, const GivenWeights& given);

// "imagenet" (means .485 .456 .406, deviations .229 .224 .225), "none", or numbers,
// MEAN,MEAN,MEAN/DEVIATION,DEVIATION,DEVIATION. Throws OptionsError for anything else.
void set_normalization(ImageOptions& image, const std::string& text);

}  // namespace microtome
