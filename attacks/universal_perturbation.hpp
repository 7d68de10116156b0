// One perturbation for all images, within epsilon in L-inf: the maximum over |v| <= epsilon of the mean loss
// of clip(x + v, 0, 1) (the problem of Moosavi-Dezfooli et al. 2017, solved by stochastic ascent as in
// Shafahi et al. 2020, algorithm 2). By Adam as in the lung and colon study, or by sign steps.
#pragma once

#include "attacks/universal.hpp"

namespace microtome {

struct UniversalPerturbationOptions {
    double epsilon = 8.0 / 255;
    bool random_start = false;  // U(-epsilon, epsilon) instead of 0; with no epochs, the random control
    FitOptions fit{};
};

class UniversalPerturbation : public UniversalAttack {
  public:
    // Throws OptionsError unless epsilon is in [0, 1].
    explicit UniversalPerturbation(const UniversalPerturbationOptions& options = {});
    Threat threat() const override { return {Threat::Kind::ball, Norm::linf, epsilon_}; }

  private:
    ImageBounds pattern_bounds() const override { return {epsilon_, -1, 1}; }
    Shape pattern_shape(const Shape& images) const override { return images.without(0); }
    Tensor start(const Shape& pattern) const override;
    Tensor place(const Tensor& pattern, const Batch& batch, int64_t round) const override;
    AttackOptions own_options() const override;

    double epsilon_;
    bool random_start_;
};

}  // namespace microtome
