// The basic iterative method, Kurakin, Goodfellow and Bengio (2017), section 2.2: steps of the fast gradient
// sign method from the image itself, each followed by a projection into the ball and the box.
#pragma once

#include "attacks/gradient_attack.hpp"

namespace microtome {

struct BimOptions {
    Norm norm = Norm::linf;
    double epsilon = 8.0 / 255;
    double step = 0;  // 0: 2.5 epsilon / steps
    int64_t steps = 10;
    AttackLoss loss = AttackLoss::cross_entropy;
    Target target{};
    StopRule stop = StopRule::never;
    uint64_t seed = 0;
};

class Bim : public GradientAttack {
  public:
    explicit Bim(const BimOptions& options = {});
};

}  // namespace microtome
