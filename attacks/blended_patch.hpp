// The lung and colon study's patch: a small square at a fixed place, blended into the image,
//
//     x' = (1 - M beta) x + M beta P,   M = 1 on the square, else 0,   P in [0, 1]
//
// from a random start by Adam on the mean cross-entropy of the true class. No value changes by more than
// beta, and none outside the square. With the study's beta of .05 that is less than a universal perturbation
// of the same epsilon may do, on 100 of 32,400 pixels; beta = 1 is an opaque patch.
#pragma once

#include "attacks/universal.hpp"

namespace microtome {

struct BlendedPatchOptions {
    int64_t size = 10, top = 50, left = 50;  // pixels
    double beta = 0.05;
    FitOptions fit{.epochs = 20};
};

class BlendedPatch : public UniversalAttack {
  public:
    // Throws OptionsError for a size below 1, a place below 0, or beta outside [0, 1].
    explicit BlendedPatch(const BlendedPatchOptions& options = {});
    Threat threat() const override { return {Threat::Kind::patch, Norm::linf, options_.beta}; }

  private:
    ImageBounds pattern_bounds() const override { return {1, 0, 1}; }
    Shape pattern_shape(const Shape& images) const override;
    Tensor start(const Shape& pattern) const override;
    Tensor place(const Tensor& pattern, const Batch& batch, int64_t round) const override;
    AttackOptions own_options() const override;

    BlendedPatchOptions options_;
};

}  // namespace microtome
