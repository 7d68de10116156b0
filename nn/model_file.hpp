// A model in one file that says all there is to know about it: weights under PyTorch's names and in its
// layouts, and in the metadata, under "microtome", one JSON text:
//
//     {"format": 1, "architecture": "cnn", "numbers": {"channels": 32}, "classes": ["benign", "malignant"],
//      "image": {"height": 180, "width": 180, "channels": 3, "resize": false, "range": [0,1],
//                "mean": [], "deviation": []},
//      "training": {"epochs": "27", ...}}
//
// A file without it (weights from elsewhere) is refused until the caller states what only its maker knows:
// guessed wrongly, a pixel range or a normalisation gives a model that looks fine and is not the one meant.
#pragma once

#include "nn/models/registry.hpp"

#include <optional>

namespace microtome {

struct ModelCard {
    std::string architecture;
    ModelOptions options;
    std::vector<std::string> classes;             // names, in the order of the logits
    std::map<std::string, std::string> training;  // how the weights came to be: free text

    friend bool operator==(const ModelCard&, const ModelCard&) = default;
};

// What to state of a file that does not describe itself. Sizes and numbers have the architecture's defaults.
struct StatedModel {
    std::optional<std::string> architecture{};
    std::optional<std::vector<std::string>> classes{};
    std::optional<std::pair<double, double>> range{};  // what black and white were in training
    struct Normalization {
        std::vector<double> mean{}, deviation{};  // both empty: none
    };
    std::optional<Normalization> normalization{};
    int64_t height = 0, width = 0, channels = 3;
    bool resize = false;
    std::map<std::string, double> numbers{};
};

struct LoadedModel {
    std::unique_ptr<Module> model;  // in eval mode
    ModelCard card;
    std::vector<std::string> notes{};  // how weights from elsewhere were made to fit, for the user
};

// Writes the file whole or not at all. The card is completed first. Throws OptionsError when it does not fit
// (class names that are not options.classes in number, or differ from the model's own shapes), IoError.
void save_model(const std::string& path, const Module& model, const ModelCard& card);

// Reads what save_model() wrote, and where it is stated what they are, weights from elsewhere, of any format
// that nn/weights.hpp reads and adapted as it says.
//
// Throws MissingFileError, IoError; FormatError for a damaged or forged file, a missing key or a wrong shape;
// OptionsError for a file without description when not all is stated, or for statements about one that has
// its own.
LoadedModel load_model(const std::string& path, const std::optional<StatedModel>& stated = {});

}  // namespace microtome
