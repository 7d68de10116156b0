// The shuffled perturbation: a control that keeps how much another attack changes each image and destroys
// where (Bortsova et al. 2021). What the original takes away beyond it lies in the pattern, not in its size.
#pragma once

#include "attacks/attack.hpp"

#include <memory>

namespace microtome {

// The pixels of each perturbation x' - x, all channels of one together, in random order on the image. Where a
// value would leave [0, 1] its sign is turned, so that each image keeps the multiset of |x' - x|, up to
// roundings; only where both signs leave the box, which takes changes of more than half its width, it is
// clipped. Orders are drawn by id. Throws ShapeError for images of two shapes.
Tensor shuffle_perturbation(const Batch& batch, const Tensor& adversarial, uint64_t seed = 0);

class Shuffled : public Attack {
  public:
    explicit Shuffled(std::unique_ptr<Attack> original, uint64_t seed = 0);
    std::string_view name() const override { return name_; }  // "shuffled-pgd"
    AttackOptions options() const override;                   // the original's, and the order's seed
    // The original's ball. That of a patch is one value's change in L-inf, for it no longer lies in a patch.
    Threat threat() const override;
    Passes cost() const override { return original_->cost(); }
    Tensor run(Classifier& classifier, const Batch& batch) const override;
    Attack& original() { return *original_; }  // to fit it first, where it is one of those

  private:
    std::unique_ptr<Attack> original_;
    std::string name_;
    uint64_t seed_;
};

}  // namespace microtome
