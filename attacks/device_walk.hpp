// The walk of gradient_attack.hpp on a GPU without the host: all that a step decides is decided there, image
// by image, and the steps are asked for some at a time, as a CUDA graph once they have been made before. The
// host reads how the images fare one such chunk late, while the next is being worked on. The images that come
// out have the bits of the walk that asks the host in each step.
#pragma once

#include "attacks/gradient_attack.hpp"
#include "attacks/gradient_step.hpp"

#include <optional>

namespace microtome {

struct DeviceWalkOptions {
    Ball ball{};
    double length = 0;  // of a step
    double momentum = 0;
    AttackLoss loss = AttackLoss::cross_entropy;
    StopRule stop = StopRule::never;
    int64_t steps = 1;
};

struct DeviceWalkEnd {
    Tensor images;
    std::vector<bool> stopped;  // on the way, because they fooled the classifier
};

// From `start`, whose images have left `origin`, a step after another; `first.step` is ignored. Passes are
// counted for images that had not stopped. Nothing where the classifier has no passes on its device, or the
// device too little memory to keep what belongs to the walk. Throws as GradientAttack::run() does, and
// Interrupted.
std::optional<DeviceWalkEnd> walk_on_device(std::string_view attack, const DeviceWalkOptions& options,
                                            Classifier& classifier, const Tensor& origin, const Batch& start,
                                            const Tensor& goals, const Query& first);

// How many steps become one graph: 4 to 8, so that as few as can be are left over, or all where there are
// fewer.
int64_t steps_of_a_graph(int64_t steps);

}  // namespace microtome
