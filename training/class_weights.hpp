// How much an image's loss counts, by its class: for sets in which some classes are rare.
#pragma once

#include "training/trainer.hpp"

#include <string>
#include <vector>

namespace microtome {

// A weight for each class. "balanced": n / (classes n_c) for a class of n_c of the n training images, so that
// all classes together count alike and the mean over those images is 1; 0 for a class without any. Else as
// many numbers as there are classes, apart by commas, in the order of the classes' names. Throws OptionsError
// for anything else, for numbers below 0, and where all are 0.
std::vector<double> class_weights(const std::string& text, const std::vector<int64_t>& counts);

// The objective's losses, each times the weight of its target's class, which is i64. A step goes down their
// mean over the batch. PyTorch divides by the batch's sum of weights instead, which lets the images of
// a frequent class count more in a batch that has no others.
Objective class_weighted(Objective objective, std::vector<double> weights);

}  // namespace microtome
