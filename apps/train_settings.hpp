// What `microtome train` can be told.
#pragma once

#include "apps/run_settings.hpp"
#include "training/recipe.hpp"

namespace microtome::apps {

// With defaults that suit small sets of medical images.
const std::vector<Setting>& train_settings();

Recipe train_recipe(const RunSettings& settings);

// "flips,right-angles,brightness=0.1", "none". Throws OptionsError, in the name of the command, with the
// names there are.
Augmentation augmentation_of(const std::string& command, const std::string& text);

// What augmentation_of() takes, and what is usual.
inline constexpr const char* kUsualAugmentation = "flips,right-angles,brightness=0.1";

}  // namespace microtome::apps
