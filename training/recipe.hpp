// How a model is trained, in numbers and words, as command lines and presets say it.
#pragma once

#include "data/augment.hpp"
#include "nn/optimizers.hpp"
#include "training/trainer.hpp"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace microtome {

struct Recipe {
    int64_t epochs = 30, batch = 32;
    std::string optimizer = "adam";  // of recipe_optimizers()
    double lr = 1e-3;
    double weight_decay = 0;
    double momentum = 0.9;  // sgd
    std::string schedule =
        "cosine";         // constant; cosine: down to 0 over all steps; plateau: by the validation loss
    int64_t warm_up = 0;  // epochs, cosine
    double plateau_factor = 0.3, plateau_min_delta = 1e-3;
    int64_t plateau_patience = 2;
    int64_t early_stopping = 0;  // patience in epochs, on the validation loss; 0: none
    bool restore_best = true;    // with early stopping: end with the best epoch's weights
    Augmentation augmentation{};
    std::vector<std::string> freeze{};  // patterns of weights and buffers that stay as they are
    ParameterGroups lr_of{};            // weights whose learning rate is another
    std::string class_weights{};        // of class_weights() (training/class_weights.hpp); empty: all count 1
    bool balanced = false;              // every class as often as every other (data/loader.hpp)
    uint64_t seed = 0;
};

std::vector<std::string> recipe_optimizers();  // adam, adam-keras (its conventions, eps 1e-7), adamw, sgd
std::vector<std::string> recipe_schedules();

// "head=10": the weights that a pattern covers learn ten times as fast. Throws OptionsError for anything
// else.
ParameterGroup lr_group(const std::string& text);

// Freezes what the recipe says. Throws OptionsError for a pattern that covers nothing. Before
// make_optimizer().
void freeze(Module& model, const Recipe& recipe);

// Throws OptionsError for a name that is not known or a number out of its range.
std::unique_ptr<Optimizer> make_optimizer(const Module& model, const Recipe& recipe);

// Adds what the recipe says to a trainer's options: epochs, seed, schedule, and all of it to the config that
// a training which goes on must share. `batches`: in an epoch.
void apply(const Recipe& recipe, int64_t batches, TrainerOptions& options);
// And the callbacks.
void add_callbacks(const Recipe& recipe, Trainer& trainer);

// Name and value, for configs, reports and model files.
std::map<std::string, std::string> description_of(const Recipe& recipe);

}  // namespace microtome
