#include "attacks/mi_fgsm.hpp"

#include <algorithm>

namespace microtome {

MiFgsm::MiFgsm(const MiFgsmOptions& options)
    : GradientAttack(
          "mi-fgsm",
          {.norm = options.norm,
           .epsilon = options.epsilon,
           .step = options.step != 0 ? options.step : options.epsilon / std::max<double>(1, options.steps),
           .steps = options.steps,
           .momentum = options.momentum,
           .loss = options.loss,
           .target = options.target,
           .stop = options.stop,
           .seed = options.seed}) {}

}  // namespace microtome
