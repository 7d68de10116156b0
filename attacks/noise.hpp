// Random noise: controls, which ask nothing of the classifier. What an attack at the same epsilon takes away
// beyond them, it owes to its gradients.
#pragma once

#include "attacks/attack.hpp"

namespace microtome {

struct NoiseOptions {
    double epsilon = 8.0 / 255;
    uint64_t seed = 0;
};

// x' = clip(x + U(-epsilon, epsilon), 0, 1): the "random perturbation attack" of the cervical study.
class UniformNoise : public Attack {
  public:
    explicit UniformNoise(const NoiseOptions& options = {});  // OptionsError unless epsilon is in [0, 1]
    std::string_view name() const override { return "uniform-noise"; }
    AttackOptions options() const override;
    Threat threat() const override { return {Threat::Kind::ball, Norm::linf, options_.epsilon}; }
    Passes cost() const override { return {}; }
    Tensor run(Classifier& classifier, const Batch& batch) const override;

  private:
    NoiseOptions options_;
};

// x' = clip(x + epsilon N(0, 1), 0, 1): the "Gaussian noise attack" of the cervical study. Epsilon is the
// noise's standard deviation before clipping; single values go farther.
class GaussianNoise : public Attack {
  public:
    explicit GaussianNoise(const NoiseOptions& options = {});  // OptionsError unless epsilon is in [0, 1]
    std::string_view name() const override { return "gaussian-noise"; }
    AttackOptions options() const override;
    Threat threat() const override { return {Threat::Kind::noise, Norm::linf, options_.epsilon}; }
    Passes cost() const override { return {}; }
    Tensor run(Classifier& classifier, const Batch& batch) const override;

  private:
    NoiseOptions options_;
};

}  // namespace microtome
