// The adversarial patch of Brown et al. (2017): an opaque disc that works wherever it lies, at any size and
// angle within bounds, because it is fitted over random ones (expectation over transformations):
//
//     x' = (1 - A(m)) x + A(m P),   A: turned, scaled, shifted, bilinearly; m: the disc
//
// It covers part of an image, in full: no bound but [0, 1] on what it changes there.
#pragma once

#include "attacks/universal.hpp"

namespace microtome {

struct PatchOptions {
    double rotation = 22.5;  // degrees, either way
    // Its diameter, as a share of the image's shorter side: uniform between these.
    double scale_min = 0.1, scale_max = 1;
    FitOptions fit{.epochs = 20, .lr = 0.02};
};

class Patch : public UniversalAttack {
  public:
    // Throws OptionsError unless 0 <= rotation <= 180 and 0 < scale_min <= scale_max <= 1.
    explicit Patch(const PatchOptions& options = {});
    Threat threat() const override { return {Threat::Kind::patch, Norm::linf, 1}; }

    // What takes pixels of images (N, H, W, C) to those of the disc, N x 2 x 3, as affine_warp() wants it.
    // Drawn by id and round; the disc lies inside the image.
    Tensor transforms(const Batch& batch, int64_t round) const;

  private:
    ImageBounds pattern_bounds() const override { return {1, 0, 1}; }
    Shape pattern_shape(const Shape& images) const override;  // square, of the shorter side
    Tensor start(const Shape& pattern) const override;
    Tensor place(const Tensor& pattern, const Batch& batch, int64_t round) const override;
    AttackOptions own_options() const override;

    PatchOptions options_;
};

}  // namespace microtome
