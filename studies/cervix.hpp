// The cervical screening study's figures: as its notebook printed them, as the same calculation gives on our
// images, and as they should have been.
#pragma once

#include "studies/published.hpp"

namespace microtome {

// Five loops of the preset's training on one network, each going on from the one before, on a random 80 % of
// all images that are not the set's own test; then four attacks on the rest. Beside them, "corrected": the
// study's baseline, trained once, on images of which the test part has no copy, and attacked in eval mode
// within the range of images. The folder's published/ keeps the network after every epoch, from where an
// interrupted study goes on. Nothing when interrupted.
std::optional<NotebookFindings> cervix_stage(const StudyRun& run, Classifier& baseline);

}  // namespace microtome
