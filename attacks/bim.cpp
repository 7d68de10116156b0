#include "attacks/bim.hpp"

namespace microtome {

Bim::Bim(const BimOptions& options)
    : GradientAttack("bim", {.norm = options.norm,
                             .epsilon = options.epsilon,
                             .step = options.step,
                             .steps = options.steps,
                             .loss = options.loss,
                             .target = options.target,
                             .stop = options.stop,
                             .seed = options.seed}) {}

}  // namespace microtome
