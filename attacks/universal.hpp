// Attacks that are one pattern for all images: fitted on training images, applied to any.
//
//     UniversalPerturbation attack({.epsilon = 8.0 / 255});
//     attack.fit(classifier, training);      // sees these images and no others
//     Tensor adversarial = attack.apply(test_batch);
//
// A fit passes over its source `epochs` times. In each batch it places the pattern on the images, asks the
// classifier for the loss and its gradient, carries the gradient back to the pattern, and moves the pattern
// uphill on the mean loss: by Adam, or by steps of fixed size along the sign. One forward and one backward
// pass per image and epoch.
#pragma once

#include "attacks/losses.hpp"
#include "attacks/target.hpp"
#include "tensor/kernels/updates.hpp"

#include <functional>

namespace microtome {

enum class PatternUpdate : uint8_t { adam, sign };

struct FitOptions {
    int64_t epochs = 10;  // 0: the pattern stays as it starts, a control
    PatternUpdate update = PatternUpdate::adam;
    double lr = 0.01;  // of Adam, or the length of a sign step
    AttackLoss loss = AttackLoss::cross_entropy;
    Target target{};
    uint64_t seed = 0;
};

// Where a fit is: after each batch.
struct FitProgress {
    int64_t epoch = 0, epochs = 0;             // epoch: from 0
    int64_t images = 0, images_per_epoch = 0;  // seen in this epoch
    double loss = 0, fooled = 0;               // means over them, each by the pattern it met
};
using FitCallback = std::function<void(const FitProgress&)>;

struct FitReport {
    std::vector<double> loss, fooled;  // means over each epoch
    Passes passes{};                   // made, in images
    bool interrupted = false;          // Ctrl-C: the pattern is as far as it came
};

class UniversalAttack : public Attack {
  public:
    std::string_view name() const override { return name_; }
    AttackOptions options() const override;
    Passes cost() const override { return {}; }  // to apply: nothing

    // Starts anew, on these images alone. Throws OptionsError for an empty source or images that cannot be
    // attacked, Error for a gradient that is not finite.
    FitReport fit(Classifier& classifier, BatchSource& training, const FitCallback& progress = {});

    // The pattern placed on images, within the threat. Throws Error before fit() or load(), ShapeError for
    // images that the pattern does not fit.
    Tensor apply(const Batch& batch) const;
    // The same, for those who know only attacks. Asks the classifier nothing.
    Tensor run(Classifier& classifier, const Batch& batch) const override;

    const Tensor& pattern() const { return pattern_; }  // (height, width, C); undefined before a fit

    // One safetensors file with the pattern, the attack's name and its options. load() throws IoError, and
    // FormatError for a file of another attack, of other options, or with values out of the pattern's bounds.
    void save(const std::string& path) const;
    void load(const std::string& path);

  protected:
    // Throws OptionsError for numbers out of their range.
    UniversalAttack(std::string name, const FitOptions& options);

    // What a pattern may contain: [low, high] and no farther than epsilon from 0.
    virtual ImageBounds pattern_bounds() const = 0;
    virtual Shape pattern_shape(const Shape& images) const = 0;
    // Before the first step; zeros unless the attack says otherwise.
    virtual Tensor start(const Shape& pattern) const;
    // In differentiable ops. round: 0 in apply(), epoch + 1 in fit(), for draws.
    virtual Tensor place(const Tensor& pattern, const Batch& batch, int64_t round) const = 0;
    virtual AttackOptions own_options() const = 0;

    void fill_start(Tensor& pattern) const;  // uniformly in [0, 1), by the seed
    uint64_t seed() const { return fit_.seed; }

  private:
    std::string name_;
    FitOptions fit_;
    Tensor pattern_;
};

}  // namespace microtome
