// Adversarial fine-tuning: a trained classifier goes on training with every image beside an attacked version
// of it, under
//
//     L = w_clean mean CE(f(x), y) + w_adversarial mean CE(f(x'), y)
//
// which is the objective of Goodfellow, Shlens and Szegedy (2015), section 6, with weights of one's own,
// begun at a model that is good already. x' is either made anew by attacking the weights of the moment
// (fresh), or was made once from the model before hardening (static). A defence learned from static images
// has seen one answer to one model: it must be judged by attacks on itself.
//
//     Adam optimizer(model, {.lr = 1e-4});
//     Trainer trainer(model, optimizer, {.epochs = 8, .objective = paired_objective(),
//                                        .validation_objective = cross_entropy_objective(),
//                                        .craft = fresh_pairs({&pgd}, options)});
#pragma once

#include "attacks/attack.hpp"
#include "nn/models/registry.hpp"
#include "training/trainer.hpp"

#include <functional>
#include <vector>

namespace microtome {

struct PairWeights {
    double clean = 0.5, adversarial = 0.5;
};

// The images of a batch and then, in the same order, attacked versions of them: 2 N images, targets and ids.
// Throws ShapeError when the two are not of one shape.
Batch paired(const Batch& clean, const Tensor& adversarial);

// The losses of such a batch, whose mean is L. Throws OptionsError for weights that are negative or both 0.
Objective paired_objective(const PairWeights& weights = {});

// Batches of images and fresh attacks on them: step s uses attack s modulo their number, against the model as
// it is then. An attack that draws at random draws anew in every step. `options` are the model's, completed.
// The attacks must outlive the training.
Craft fresh_pairs(std::vector<const Attack*> attacks, ModelOptions options);

// Images with their static attacks in memory, as pairs(). Attacked images are kept in 8 bits, as files would.
class StaticPairs : public BatchSource {
  public:
    // All images of one epoch 0 of `clean`, attacked by each attack against `classifier`. `made` is called
    // with the number of attacked images so far, and returns whether to go on; when it says no, the result
    // has as many images as were finished. Throws OptionsError for no attacks or no images.
    StaticPairs(Classifier& classifier, BatchSource& clean, const std::vector<const Attack*>& attacks,
                int64_t batch, uint64_t seed, const std::function<bool(int64_t)>& made = {});

    // A random order; image i meets attack (i + epoch) modulo their number.
    void start(int64_t epoch) override;
    std::optional<Batch> next() override;  // pairs of up to `batch` images: twice as many
    int64_t images() const override { return static_cast<int64_t>(ids_.size()); }  // clean ones
    int64_t batches() const override { return (images() + batch_ - 1) / batch_; }

  private:
    Shape shape_;                                              // of one image
    std::vector<std::vector<uint8_t>> clean_;                  // by image
    std::vector<std::vector<std::vector<uint8_t>>> attacked_;  // by attack and image
    std::vector<int64_t> labels_, ids_;
    std::vector<int64_t> order_;
    int64_t batch_, epoch_ = -1, position_ = 0;
    uint64_t seed_;
};

}  // namespace microtome
