// The lung and colon study's patch and universal perturbation as its notebooks calculate them, for any
// classifier. They differ from what the study's report describes, and from attacks/, in ways that are named
// here.
#pragma once

#include "attacks/attack.hpp"
#include "base/progress.hpp"
#include "tensor/batch.hpp"

namespace microtome {

// Ten by ten values, blended into the image at a fixed place:
//
//     x' = (1 - beta M) x + beta M P,    M = 1 where P > 0
//
// P starts at random. Twenty steps of P += lr dCE(f(x'), class 0)/dP follow on ONE image of random noise,
// each smoothed by a Gaussian of deviation 3 along rows, columns and channels. The report describes Adam,
// training images and the true class instead. With beta = 0.05 no value can change by more than 0.05.
class NotebookPatch : public Attack {
  public:
    static constexpr int64_t kSide = 10, kRow = 50, kColumn = 50, kSteps = 20;
    static constexpr double kBlend = 0.05, kRate = 0.01, kSmoothing = 3;

    explicit NotebookPatch(uint64_t seed) : seed_(seed) {}
    // `image`: (H, W, C), at least as large as to contain the patch, or ShapeError.
    void fit(Classifier& classifier, const Shape& image);

    std::string_view name() const override { return "notebook-patch"; }
    AttackOptions options() const override;
    Threat threat() const override { return {Threat::Kind::patch, Norm::linf, kBlend}; }
    Passes cost() const override { return {}; }
    Tensor run(Classifier& classifier, const Batch& batch) const override;  // OptionsError before fit()

    const Tensor& patch() const { return patch_; }  // (10, 10, C)

  private:
    Tensor blended(const Tensor& images) const;
    uint64_t seed_;
    Tensor patch_;
};

// One perturbation for all images, by Adam (rate 0.01, Keras's conventions) uphill on cross-entropy, clipped
// to epsilon after each step: ten passes over the images it is given. The notebook gives it the test images,
// and judges it on them.
class NotebookUniversal : public Attack {
  public:
    static constexpr int64_t kPasses = 10;
    static constexpr double kEpsilon = 0.05, kRate = 0.01;

    // False when interrupted.
    bool fit(Classifier& classifier, BatchSource& images, const ProgressOptions& progress);

    std::string_view name() const override { return "notebook-universal"; }
    AttackOptions options() const override;
    Threat threat() const override { return {Threat::Kind::ball, Norm::linf, kEpsilon}; }
    Passes cost() const override { return {}; }
    Tensor run(Classifier& classifier, const Batch& batch) const override;  // OptionsError before fit()

    const Tensor& perturbation() const { return perturbation_; }  // (H, W, C)

  private:
    Tensor perturbation_;
};

// x smoothed by a Gaussian along every axis, cut off at four deviations, with x mirrored at its edges (the
// edge itself repeated): what the notebook's filter does.
Tensor smoothed(const Tensor& x, double deviation);

}  // namespace microtome
