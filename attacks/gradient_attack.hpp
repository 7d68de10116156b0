// The walk that FGSM, BIM, PGD and MI-FGSM have in common: from an image, or a random place near it, uphill
// on a loss, a step of fixed length at a time, never out of the ball and the box.
//
//     x_0 = x, or P(x + noise);   x_{t+1} = P(x_t + step direction(g_t)),   g_t = dL/dx at x_t
//
// direction: sign(g) with sign(0) = 0 (L-inf) or g / |g|, 0 where g = 0 (L2). P: into the ball around x, then
// into [0, 1]. With momentum mu > 0 the direction is that of m_t = mu m_{t-1} + g_t / mean |g_t|.
//
// Restarts. Each begins at a place of its own and is made only by the images that no restart before has
// fooled. The image returned is that of the first restart that fooled the classifier, else of the one that
// ended with the highest loss. With a single restart its end is returned, unasked: k steps cost k forward and
// k backward passes; with more, each restart costs one forward pass more, to see how it ended.
#pragma once

#include "attacks/attack.hpp"
#include "attacks/losses.hpp"
#include "attacks/target.hpp"

namespace microtome {

enum class StopRule : uint8_t {
    never,   // all steps are made, as in the papers: the end has a high loss
    fooled,  // an image stops where it first fools the classifier, and costs no more passes
};

struct GradientAttackOptions {
    Norm norm = Norm::linf;
    double epsilon = 8.0 / 255;
    double step = 0;  // 0: 2.5 epsilon / steps, so that an image can cross its ball and come back
    int64_t steps = 10;
    bool random_start = false;  // uniform in the ball
    int64_t restarts = 1;
    double momentum = 0;
    AttackLoss loss = AttackLoss::cross_entropy;
    Target target{};
    StopRule stop = StopRule::never;
    uint64_t seed = 0;
};

class GradientAttack : public Attack {
  public:
    // Throws OptionsError for numbers out of their range: epsilon in [0, 1] for L-inf, steps and restarts of
    // 1 or more, restarts without a random start to tell them apart.
    GradientAttack(std::string name, const GradientAttackOptions& options);

    std::string_view name() const override { return name_; }
    AttackOptions options() const override;
    Threat threat() const override { return {Threat::Kind::ball, options_.norm, options_.epsilon}; }
    Passes cost() const override;
    // Throws Error where a gradient is NaN or infinite, naming image and step; Interrupted after Ctrl-C.
    bool takes_images_on(Device) const override { return true; }
    Tensor run(Classifier& classifier, const Batch& batch) const override;

  private:
    struct Walk;
    Walk walk(Classifier& classifier, const Batch& batch, int64_t restart) const;
    Tensor start(const Batch& batch, int64_t restart) const;
    Tensor goals(const Batch& batch, int64_t classes) const;
    double step_length() const;
    double radius(const Tensor& images) const;

    std::string name_;
    GradientAttackOptions options_;
};

}  // namespace microtome
