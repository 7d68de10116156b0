// The images on which a command judges a model: which they are, and what the model learned from.
#pragma once

#include "data/loader.hpp"
#include "data/split.hpp"
#include "evaluation/rails.hpp"
#include "nn/model_file.hpp"

#include <memory>
#include <string>
#include <vector>

namespace microtome::apps {

struct EvaluationImages {
    std::unique_ptr<Dataset> dataset;
    std::vector<int64_t> images;    // indices into it
    std::vector<int64_t> training;  // the model's training images in it; empty: not known
    std::string which;              // "the set's own test part: 500 images"
    std::string why_no_training;    // where they are not known
};

// The test part of split.json beside the model, where it is a split of this set; else the set's own; else all
// images. With n > 0 no more than n of them, drawn by the seed. Throws what open_dataset()
// does, and FormatError when the set's classes are not the model's.
EvaluationImages choose_images(const std::string& data, const std::string& model, const ModelCard& card,
                               int64_t n, uint64_t seed);
// The same for models that answer together: the images that each of them is to be judged on, less those that
// another learned from. OptionsError where none are left.
EvaluationImages choose_images(const std::string& data, const std::vector<std::string>& models,
                               const ModelCard& card, int64_t n, uint64_t seed);

// Throws FormatError when the set's classes are not the model's.
void require_classes(const Dataset& dataset, const ModelCard& card);

// Which images of a set a model learned from, and which it did not.
struct ModelParts {
    Split split;
    SplitOptions options;
    std::string which;  // "split.json beside the model"
};

// Those of split.json beside the model, where it is a split of this set; else the set's own. Throws
// OptionsError where this does not tell which images the model may learn from.
ModelParts parts_for_model(const Dataset& dataset, const std::string& model);

// These images in the size and channels that the model takes. The set must outlive the loader.
std::unique_ptr<Loader> load_images(const EvaluationImages& chosen, const std::vector<int64_t>& images,
                                    const ModelCard& card, int64_t batch);

// V9, when the training images are known: reads those and the images to be judged.
std::optional<Rail> compare_with_training(const EvaluationImages& chosen, bool quiet);

}  // namespace microtome::apps
