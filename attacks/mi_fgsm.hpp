// The momentum iterative fast gradient sign method, Dong et al. (2018), algorithm 1: the basic iterative
// method along m_t = mu m_{t-1} + g_t / mean |g_t|. The paper divides by the sum of |g| instead of its mean,
// which makes every m smaller by the same factor and leaves all signs as they are. With mu = 0 it is the
// basic iterative method, bit for bit. Where a gradient is zero it adds nothing.
#pragma once

#include "attacks/gradient_attack.hpp"

namespace microtome {

struct MiFgsmOptions {
    Norm norm = Norm::linf;
    double epsilon = 8.0 / 255;
    double step = 0;  // 0: epsilon / steps, as in the paper
    int64_t steps = 10;
    double momentum = 1;
    AttackLoss loss = AttackLoss::cross_entropy;
    Target target{};
    StopRule stop = StopRule::never;
    uint64_t seed = 0;
};

class MiFgsm : public GradientAttack {
  public:
    explicit MiFgsm(const MiFgsmOptions& options = {});
};

}  // namespace microtome
