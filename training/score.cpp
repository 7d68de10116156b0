// Loss and accuracy over a set of images.
#include "autograd/ops/losses.hpp"
#include "autograd/tape.hpp"
#include "training/outcome.hpp"

#include <utility>

namespace microtome {
namespace {

// Train mode or eval mode for a scope.
class Mode {
  public:
    Mode(Module& model, bool train) : model_(model), before_(model.training()) { model.train(train); }
    ~Mode() { model_.train(before_); }
    Mode(const Mode&) = delete;
    Mode& operator=(const Mode&) = delete;

  private:
    Module& model_;
    bool before_;
};

// A batch that the model was asked about.
struct Asked {
    Batch batch;
    Outcome outcome;  // and, where somebody wants to see them, logits and targets
};

}  // namespace

Objective cross_entropy_objective() {
    return [](Module& model, const Batch& batch, const Pass& pass) {
        return cross_entropy(model(batch.images, pass), batch.targets);
    };
}

Scores score(Module& model, BatchSource& source, const Objective& objective,
             const std::function<bool(const Batch&, const Tensor&)>& seen) {
    Mode eval(model, false);
    PauseTapes pause;
    Scores scores;
    const auto look = [&](Asked& asked) {
        asked.outcome.count(scores);
        if (!seen) return true;
        asked.batch.targets = asked.outcome.further(1);
        return seen(asked.batch, asked.outcome.further(0));
    };
    // On a GPU a batch is looked at when the next one is on its way; the CPU has nothing better to do.
    const bool at_once = model.device() == kCpu;
    std::optional<Asked> before;
    source.start(0);
    while (std::optional<Batch> batch = source.next()) {
        WatchedPass watched(model, 0, 0, batch->ids);
        const Batch there = to(*batch, model.device());
        const Tensor losses = losses_of(objective, model, there, watched.pass);
        const Tensors shown = seen ? Tensors{watched.logits, batch->targets} : Tensors();
        Asked now{*batch, Outcome(there, losses, watched.logits, shown)};
        std::optional<Asked> due =
            at_once ? std::optional(std::move(now)) : std::exchange(before, std::optional(std::move(now)));
        if (due && !look(*due)) {
            before.reset();
            break;
        }
    }
    if (before) look(*before);
    if (scores.images > 0) scores.loss /= static_cast<double>(scores.images);
    return scores;
}

}  // namespace microtome
