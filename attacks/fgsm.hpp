// The fast gradient sign method, Goodfellow, Shlens and Szegedy (2015), section 4: one step of length
// epsilon,
//
//     x' = clip(x + epsilon sign(dL/dx), 0, 1)
//
// and in L2 the same along g / |g|.
#pragma once

#include "attacks/gradient_attack.hpp"

namespace microtome {

struct FgsmOptions {
    Norm norm = Norm::linf;
    double epsilon = 8.0 / 255;
    AttackLoss loss = AttackLoss::cross_entropy;
    Target target{};
    uint64_t seed = 0;  // of random goals, and of what the classifier draws
};

class Fgsm : public GradientAttack {
  public:
    explicit Fgsm(const FgsmOptions& options = {});
};

}  // namespace microtome
