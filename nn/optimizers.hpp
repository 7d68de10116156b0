// Optimizers: they move a model's weights in place by gradients a tape gave.
//
//     AdamW optimizer(model, {.lr = 1e-3, .weight_decay = 0.05},
//                     {{.pattern = "*.bias", .weight_decay = 0}, {.pattern = "head", .lr_factor = 10}});
//     ...
//     optimizer.step(tape.gradient(loss, model.parameters()));
//
// An optimizer holds the weights that were not frozen when it was made. The formulas are in
// tensor/updates.hpp, the options in tensor/kernels/updates.hpp.
#pragma once

#include "nn/module.hpp"
#include "tensor/kernels/updates.hpp"

#include <optional>

namespace microtome {

// What differs for the weights a pattern (nn/pattern.hpp) covers. A weight belongs to the first group that
// covers it.
struct ParameterGroup {
    std::string pattern;
    double lr_factor = 1;  // times the optimizer's learning rate, whatever a schedule makes of that
    std::optional<double> weight_decay{};
};
using ParameterGroups = std::vector<ParameterGroup>;

class Optimizer {
  public:
    virtual ~Optimizer() = default;
    Optimizer(const Optimizer&) = delete;
    Optimizer& operator=(const Optimizer&) = delete;

    // One update from the gradients of model.parameters(), in that order. `trouble`, where given, is one f64
    // on the weights' device, and no weight or moment moves unless it is 0: on a GPU the host need not look
    // first. Throws ShapeError, before anything has moved, when they do not fit.
    void step(const Tensors& gradients, const Tensor& trouble = {});

    double learning_rate() const { return lr_; }
    void set_learning_rate(double lr);  // OptionsError unless finite and 0 or more
    int64_t steps() const { return steps_; }

    // Everything that the next step depends on besides the weights and the options, as copies: steps made,
    // learning rate, and each weight's moments under "optimizer.moment.weight's name".
    NamedTensors state() const;
    // Continues from such a state, bit for bit. Throws FormatError naming the key that does not fit.
    void restore(const NamedTensors& state);

  protected:
    struct Slot {
        NamedParameter weight;
        double lr_factor = 1;
        double weight_decay = 0;
        Tensors moments;  // what the rule remembers of this weight; empty before the first step
    };

    // Throws OptionsError for a group that covers no weight, or a number out of its range.
    Optimizer(const Module& model, double lr, double weight_decay, const ParameterGroups& groups,
              std::vector<std::string> moments);

    // Moves one weight; steps count from 1. Moments are zeros at first.
    virtual void update(Slot& slot, int64_t step, double lr, const Tensor& g, const Tensor& trouble) = 0;

  private:
    void make_moments();

    std::vector<Slot> slots_;
    std::vector<std::string> moment_names_;
    double lr_;
    int64_t steps_ = 0;
};

class Sgd : public Optimizer {
  public:
    explicit Sgd(const Module& model, const SgdOptions& options = {}, const ParameterGroups& groups = {});

  private:
    void update(Slot& slot, int64_t step, double lr, const Tensor& g, const Tensor& trouble) override;
    SgdOptions options_;
};

class Adam : public Optimizer {
  public:
    explicit Adam(const Module& model, const AdamOptions& options = {}, const ParameterGroups& groups = {});

  private:
    void update(Slot& slot, int64_t step, double lr, const Tensor& g, const Tensor& trouble) override;
    AdamOptions options_;
};

// Adam with decoupled weight decay, PyTorch's 0.01 where nothing else is said.
class AdamW : public Adam {
  public:
    explicit AdamW(const Module& model, AdamOptions options = {.weight_decay = 0.01},
                   const ParameterGroups& groups = {});
};

// Gradients no longer than max_norm, all of them taken as one vector: scaled by max_norm / norm where the
// norm is larger (Pascanu, Mikolov and Bengio 2013, algorithm 1). The norm that they had is returned; where
// it is not finite the gradients are left alone, for the caller to see.
struct ClippedGradients {
    Tensors gradients;
    double norm = 0;
};
ClippedGradients clip_by_norm(const Tensors& gradients, double max_norm);

// The same in two parts, for who does not want to wait for a GPU: the norm, one f64 on the gradients' device;
// and the gradients times min(1, max_norm / norm), which is NaN where the norm is not finite.
Tensor norm_of(const Tensors& gradients);
Tensors clip_by_norm(const Tensors& gradients, const Tensor& norm, double max_norm);

// Each element into [-limit, limit].
Tensors clip_by_value(const Tensors& gradients, double limit);

// The running average of a model's weights and buffers, average = decay average + (1 - decay) weights (Polyak
// and Juditsky 1992, in its exponential form), to evaluate with.
class WeightAverage {
  public:
    // Starts at the model's present values. With warm-up the decay is at most (1 + n) / (10 + n) in update n,
    // so that the start does not weigh for long. Throws OptionsError unless 0 <= decay < 1.
    explicit WeightAverage(const Module& model, double decay = 0.999, bool warm_up = true);

    void update();  // after each optimizer step
    void swap();    // exchanges averages and weights; again to go back

    NamedTensors state() const;
    void restore(const NamedTensors& state);

  private:
    std::vector<NamedParameter> parameters_;
    Tensors averages_;
    double decay_;
    bool warm_up_;
    int64_t updates_ = 0;
};

}  // namespace microtome
