#include "attacks/fgsm.hpp"

namespace microtome {

Fgsm::Fgsm(const FgsmOptions& options)
    : GradientAttack("fgsm", {.norm = options.norm,
                              .epsilon = options.epsilon,
                              .step = options.epsilon,
                              .steps = 1,
                              .loss = options.loss,
                              .target = options.target,
                              .seed = options.seed}) {}

}  // namespace microtome
