// The cervical screening study's attacks and training loops as its notebook calculates them, mistakes
// included, on a bare Module. Nothing here is used by any other study.
//
// Everything happens on normalised images, z = (x - mean) / deviation with ImageNet's means and deviations:
//
//     FGSM   clamp(z + epsilon sign(dCE/dz), 0, 1)
//     RPA    clamp(z + uniform(-epsilon, epsilon), 0, 1)
//     GNA    clamp(z + epsilon normal(0, 1), 0, 1)
//     BIM    ten times: z + alpha sign(dCE/dz), within epsilon of the original, clamp(..., 0, 1)
//
// with epsilon .3, which is .3 deviation = .067 to .069 of an image's range, and alpha .01, so that BIM comes
// no further than .1. The clamp belongs to images, whose z lie between -2.1 and 2.6: it blackens whatever is
// darker than the mean and cuts what is brighter than mean + deviation, whichever attack went before.
#pragma once

#include "attacks/attack.hpp"
#include "nn/optimizers.hpp"
#include "tensor/batch.hpp"

#include <functional>
#include <string>
#include <vector>

namespace microtome {

enum class CervixAttack { fgsm, rpa, gna, bim, clamp };  // clamp: nothing but the clamp, epsilon 0

class CervixNotebookAttack : public Attack {
  public:
    static constexpr double kEpsilon = 0.3, kAlpha = 0.01;
    static constexpr int64_t kSteps = 10;

    // `sound`: clamped to the range that images have, [(0 - mean) / deviation, (1 - mean) / deviation].
    CervixNotebookAttack(CervixAttack attack, bool sound, uint64_t seed);

    std::string_view name() const override { return name_; }
    AttackOptions options() const override;
    Threat threat() const override;
    Passes cost() const override;
    // Images are in [0, 1], with three channels, before and after.
    Tensor run(Classifier& classifier, const Batch& batch) const override;

    // The same by any gradient of the summed loss; `step` tells the draws of one epoch from another's.
    using Gradient = std::function<Tensor(const Tensor& images)>;
    Tensor craft(const Batch& batch, const Gradient& gradient, int64_t step) const;

  private:
    CervixAttack attack_;
    bool sound_;
    uint64_t seed_;
    std::string name_;
};

// What a loop prints in its last epoch, as counts.
struct CervixLoopCounts {
    int64_t images = 0;    // that it looked at
    int64_t correct = 0;   // of those, as given; in the FGSM loop: attacked
    int64_t attacked = 0;  // right under attack; not counted in the FGSM loop
};

// One of the notebook's five trainings, in this order, all on the one network. In each, attacks are made in
// train mode, and their images run through the network in train mode, so that batch norm's running statistics
// follow them; each goes by the weights before the step.
//
//     clean   on images; FGSM is looked at only
//     fgsm    on FGSM's images
//     rpa     on images: noise is looked at only, in no loss
//     gna     likewise
//     bim     on images, too, but the ten backward passes of BIM leave their gradients of the weights beside
//             that of the loss, and the step takes the sum
enum class CervixLoop { clean, fgsm, rpa, gna, bim };
const std::vector<CervixLoop>& cervix_loops();
std::string_view name_of(CervixLoop loop);

// One epoch. `advance` is called with the images of each batch and returns whether to go on; when it says no,
// the counts are of what was done.
CervixLoopCounts run_cervix_epoch(Module& model, Optimizer& optimizer, CervixLoop loop, BatchSource& images,
                                  int64_t epoch, uint64_t seed, const std::function<bool(int64_t)>& advance);

}  // namespace microtome
