// Projected gradient descent, Madry et al. (2018), section 2.1: the basic iterative method from a random
// place in the ball, and again from others for images that withstand.
#pragma once

#include "attacks/gradient_attack.hpp"

namespace microtome {

struct PgdOptions {
    Norm norm = Norm::linf;
    double epsilon = 8.0 / 255;
    double step = 0;  // 0: 2.5 epsilon / steps
    int64_t steps = 20;
    bool random_start = true;
    int64_t restarts = 1;
    AttackLoss loss = AttackLoss::cross_entropy;
    Target target{};
    StopRule stop = StopRule::never;
    uint64_t seed = 0;
};

class Pgd : public GradientAttack {
  public:
    explicit Pgd(const PgdOptions& options = {});
};

}  // namespace microtome
