// Accuracies of several models beside one another, in sentences that claim no difference which the intervals
// do not show.
#pragma once

#include "studies/findings.hpp"

#include <string>
#include <vector>

namespace microtome {

struct Contender {
    std::string name;
    Share accuracy;
};

// "Clean: cnn right in .90 [.80, .95], vit in .60 [.49, .70], of 80 images. cnn above vit: their intervals do
// not overlap." One is said to be above another where its whole 95 % interval is; where none is, that no
// difference is shown.
std::string comparison_sentence(const std::string& condition, const std::vector<Contender>& contenders);

// A sentence for clean images and for each attack at each epsilon that the first model and those of the kind
// have met: all of these against one another. Nothing where there is no model of the kind.
std::vector<std::string> comparisons_with(const std::vector<ModelFindings>& models, ModelFindings::Kind kind);

}  // namespace microtome
