#include "attacks/pgd.hpp"

namespace microtome {

Pgd::Pgd(const PgdOptions& options)
    : GradientAttack("pgd", {.norm = options.norm,
                             .epsilon = options.epsilon,
                             .step = options.step,
                             .steps = options.steps,
                             .random_start = options.random_start,
                             .restarts = options.restarts,
                             .loss = options.loss,
                             .target = options.target,
                             .stop = options.stop,
                             .seed = options.seed}) {}

}  // namespace microtome
