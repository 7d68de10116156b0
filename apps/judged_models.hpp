// The model that a command judges, or several that answer together.
#pragma once

#include "nn/classifier.hpp"

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace microtome::apps {

struct JudgedModels {
    std::unique_ptr<Classifier> classifier;
    ModelCard card;           // the model's; of several the first's, with the images that all of them take
    std::string name;         // "m.safetensors", "ensemble of 3, vote"
    std::string description;  // what there is to say of it in a few lines
    std::vector<std::pair<std::string, std::string>> facts;  // of an ensemble, for results
};

// Loads a model, or several as an ensemble (nn/ensemble.hpp) that votes as its name says; empty:
// mean-probability; each on that device. Throws what load_model() does; OptionsError for a way of voting that
// there is not or that is said of one model, for a file that is named twice, and for members of other classes
// or images.
JudgedModels load_judged(const std::vector<std::string>& models, const std::string& voting, bool exact,
                         Device device = kCpu);

}  // namespace microtome::apps
