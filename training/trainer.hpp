// The training loop.
//
//     Adam optimizer(model, {.lr = 1e-3});
//     Trainer trainer(model, optimizer, {.epochs = 30, .seed = 7, .checkpoint =
//     "run/checkpoint.safetensors"}); trainer.add<EarlyStopping>(EarlyStoppingOptions{.patience = 5});
//     trainer.add<Logs>("run");
//     TrainingResult result = trainer.run(train_batches, &validation_batches);
//
// Everything that happens depends on the seed, the step and the images' ids, not on threads or the clock: the
// same training gives the same bits, and one that was interrupted at any moment and goes on from its
// checkpoint ends with the same weights and the same logs as one that was not.
#pragma once

#include "base/progress.hpp"
#include "nn/schedules.hpp"
#include "tensor/batch.hpp"
#include "training/callback.hpp"
#include "training/non_finite.hpp"

#include <iosfwd>
#include <memory>

namespace microtome {

// The losses of a batch, one per image (N); a step goes down their mean. Whatever it runs it runs under this
// pass. Accuracy is counted on what the model's first run in it gave, where its rows are the batch's.
using Objective = std::function<Tensor(Module& model, const Batch& batch, const Pass& pass)>;
Objective cross_entropy_objective();

// The batch to learn from in place of this one: adversarial training attacks its images, or adds attacked
// ones. The model is in eval mode meanwhile, no weight gets a gradient, and a weight or buffer that was
// written to is an Error.
using Craft = std::function<Batch(Module& model, const Batch& batch, int64_t step)>;

// A number from the logits (N, classes) and targets of all validation images.
using Metric = std::function<double(const Tensor& logits, const Tensor& targets)>;

struct TrainerOptions {
    int64_t epochs = 1;
    uint64_t seed = 0;  // of dropout and the like

    Objective objective{};             // empty: cross entropy of the logits
    Objective validation_objective{};  // empty: the same
    std::map<std::string, Metric> metrics{};
    Craft craft{};

    // Sets the rate before each step, or each epoch; empty: the optimizer's own, and what callbacks make of
    // it.
    Schedule schedule{};
    bool schedule_by_epoch = false;

    double clip_norm = 0;      // the most that all gradients together may measure; 0: any
    double average_decay = 0;  // of a WeightAverage to validate with and to end with; 0: none

    // A file for everything, written after each epoch and when interrupted; empty: none.
    std::string checkpoint{};
    // Go on from it, where there is one. Without this a checkpoint that is there is an OptionsError.
    bool resume = false;
    // What else the training was told, by name. A training that goes on must be told the same.
    std::map<std::string, std::string> config{};

    ProgressOptions progress{.quiet = true};
    std::ostream* out = nullptr;      // for a line per epoch
    std::function<double()> clock{};  // seconds since 1970, for the logs; empty: the system's
};

struct TrainingResult {
    enum class End { completed, stopped, interrupted };
    End end = End::completed;
    std::string why;  // a callback stopped it
    std::vector<EpochRecord> history;
    int64_t steps = 0;
};

// The means of losses and hits over a set of images.
struct Scores {
    int64_t images = 0, labelled = 0, correct = 0;  // labelled: with a class to be hit
    double loss = 0;                                // mean
    std::optional<double> accuracy() const {
        return labelled > 0 ? std::optional(static_cast<double>(correct) / static_cast<double>(labelled))
                            : std::nullopt;
    }
};

class Trainer {
  public:
    // Throws OptionsError for numbers out of their range.
    Trainer(Module& model, Optimizer& optimizer, TrainerOptions options);
    ~Trainer();

    void add(std::unique_ptr<Callback> callback);
    template <class C, class... Args>
    C& add(Args&&... args) {
        auto callback = std::make_unique<C>(std::forward<Args>(args)...);
        C& result = *callback;
        add(std::move(callback));
        return result;
    }

    // Trains, on the model's device (Module::to() before the optimizer is made); a training goes on from its
    // checkpoint on any. The model ends in eval mode with the last weights, their average, or what a callback
    // made of it. An interruption (base/interrupt.hpp; the caller holds the guard) lets the step finish and
    // saves. Throws NonFiniteError for a loss or gradient that is NaN or infinite, OptionsError when the
    // checkpoint is of a training that was told something else, IoError, FormatError.
    TrainingResult run(BatchSource& train, BatchSource* validation = nullptr);

  private:
    class Run;
    Module& model_;
    Optimizer& optimizer_;
    TrainerOptions options_;
    std::vector<std::unique_ptr<Callback>> callbacks_;
};

// Loss and accuracy in eval mode, epoch 0 of the source. The model is in the mode it was in afterwards.
// `seen`, where given, is called after each batch with its logits and returns whether to go on.
Scores score(Module& model, BatchSource& source, const Objective& objective = cross_entropy_objective(),
             const std::function<bool(const Batch&, const Tensor& logits)>& seen = {});

}  // namespace microtome
