#include "nn/optimizers.hpp"

#include "autograd/ops/arithmetic.hpp"
#include "autograd/ops/control.hpp"
#include "autograd/ops/elementwise.hpp"
#include "autograd/ops/reductions.hpp"
#include "autograd/tape.hpp"
#include "nn/pattern.hpp"
#include "tensor/kernels/elementwise.hpp"
#include "tensor/kernels/reduce.hpp"

#include <algorithm>
#include <cmath>

namespace microtome {
namespace {

void require_rate(const char* what, double rate) {
    if (!(rate >= 0) || !std::isfinite(rate))
        throw OptionsError("optimizer", str("expected a ", what, " of 0 or more, got ", rate));
}

// A copy there, whatever device x is on.
Tensor copy_on(Device device, const Tensor& x) {
    return x.device() == device ? x.clone() : x.to(device);
}

// Entries are on the CPU, wherever `like` is.
const Tensor& entry(const NamedTensors& state, const std::string& name, const Spec& like) {
    const Spec expected{like.shape, like.dtype, kCpu};
    auto found = std::find_if(state.begin(), state.end(), [&](const auto& e) { return e.name == name; });
    if (found == state.end())
        throw FormatError("restore", str("expected key ", name, " ", expected, ", got none"));
    if (!(found->tensor.spec() == expected))
        throw FormatError("restore",
                          str("expected key ", name, " as ", expected, ", got ", found->tensor.spec()));
    return found->tensor;
}

constexpr const char* kSteps = "optimizer.steps";
constexpr const char* kRate = "optimizer.lr";

}  // namespace

Optimizer::Optimizer(const Module& model, double lr, double weight_decay, const ParameterGroups& groups,
                     std::vector<std::string> moments)
    : moment_names_(std::move(moments)), lr_(lr) {
    require_rate("learning rate", lr);
    require_rate("weight decay", weight_decay);
    std::vector<bool> used(groups.size());
    for (NamedParameter& weight : model.trainable()) {
        Slot slot{std::move(weight), 1, weight_decay, {}};
        auto group = std::find_if(groups.begin(), groups.end(), [&](const ParameterGroup& g) {
            return matches(g.pattern, slot.weight.name);
        });
        if (group != groups.end()) {
            used[group - groups.begin()] = true;
            slot.lr_factor = group->lr_factor;
            slot.weight_decay = group->weight_decay.value_or(weight_decay);
            require_rate("learning rate factor", slot.lr_factor);
            require_rate("weight decay", slot.weight_decay);
        }
        slots_.push_back(std::move(slot));
    }
    for (std::size_t i = 0; i < groups.size(); ++i)
        if (!used[i])
            throw OptionsError("optimizer",
                               str("expected a group that covers some weight, got ", groups[i].pattern),
                               "earlier groups take precedence, and frozen weights have no optimizer");
}

void Optimizer::set_learning_rate(double lr) {
    require_rate("learning rate", lr);
    lr_ = lr;
}

void Optimizer::make_moments() {
    for (Slot& slot : slots_) {
        const Spec& spec = slot.weight.parameter->value.spec();
        while (slot.moments.size() < moment_names_.size())
            slot.moments.push_back(Tensor::zeros(spec.shape, spec.dtype, spec.device));
    }
}

void Optimizer::step(const Tensors& gradients, const Tensor& trouble) {
    if (gradients.size() != slots_.size())
        throw ShapeError(
            "optimizer",
            str("expected a gradient for each of ", slots_.size(), " weights, got ", gradients.size()),
            "make the optimizer after freezing, and pass the gradients of model.parameters()");
    for (std::size_t i = 0; i < slots_.size(); ++i) {
        const Spec& spec = slots_[i].weight.parameter->value.spec();
        if (!gradients[i].defined() || !(gradients[i].spec() == spec))
            throw ShapeError("optimizer", str("expected a gradient ", spec, " for ", slots_[i].weight.name,
                                              ", got ", gradients[i]));
    }
    make_moments();
    ++steps_;
    for (std::size_t i = 0; i < slots_.size(); ++i)
        update(slots_[i], steps_, lr_ * slots_[i].lr_factor, gradients[i], trouble);
}

NamedTensors Optimizer::state() const {
    NamedTensors result{{kSteps, Tensor::scalar(static_cast<double>(steps_), Dtype::i64)},
                        {kRate, Tensor::scalar(lr_, Dtype::f64)}};
    for (const Slot& slot : slots_)
        for (std::size_t i = 0; i < slot.moments.size(); ++i)
            result.push_back(
                {str("optimizer.", moment_names_[i], ".", slot.weight.name), copy_on(kCpu, slot.moments[i])});
    return result;
}

void Optimizer::restore(const NamedTensors& state) {
    const int64_t steps = entry(state, kSteps, {{}, Dtype::i64, kCpu}).data<int64_t>()[0];
    const double lr = entry(state, kRate, {{}, Dtype::f64, kCpu}).item();
    if (steps < 0) throw FormatError("restore", str("expected 0 steps or more, got ", steps));
    require_rate("learning rate", lr);
    std::vector<Tensors> moments(slots_.size());
    for (std::size_t i = 0; i < slots_.size() && steps > 0; ++i) {
        const Spec& spec = slots_[i].weight.parameter->value.spec();
        for (const std::string& moment : moment_names_)
            moments[i].push_back(copy_on(
                spec.device, entry(state, str("optimizer.", moment, ".", slots_[i].weight.name), spec)));
    }
    for (std::size_t i = 0; i < slots_.size(); ++i) slots_[i].moments = std::move(moments[i]);
    steps_ = steps;
    lr_ = lr;
}

Sgd::Sgd(const Module& model, const SgdOptions& options, const ParameterGroups& groups)
    : Optimizer(model, options.lr, options.weight_decay, groups,
                options.momentum != 0 ? std::vector<std::string>{"velocity"} : std::vector<std::string>{}),
      options_(options) {}

void Sgd::update(Slot& slot, int64_t step, double lr, const Tensor& g, const Tensor& trouble) {
    SgdOptions options = options_;
    options.lr = lr;
    options.weight_decay = slot.weight_decay;
    kernels::sgd_step(options, step, g, slot.weight.parameter->value,
                      slot.moments.empty() ? nullptr : &slot.moments[0], {}, trouble);
}

Adam::Adam(const Module& model, const AdamOptions& options, const ParameterGroups& groups)
    : Optimizer(model, options.lr, options.weight_decay, groups, {"mean", "square"}), options_(options) {}

void Adam::update(Slot& slot, int64_t step, double lr, const Tensor& g, const Tensor& trouble) {
    AdamOptions options = options_;
    options.lr = lr;
    options.weight_decay = slot.weight_decay;
    kernels::adam_step(options, step, g, slot.weight.parameter->value, slot.moments[0], slot.moments[1], {},
                       trouble);
}

AdamW::AdamW(const Module& model, AdamOptions options, const ParameterGroups& groups)
    : Adam(model, (options.decoupled = true, options), groups) {}

Tensor norm_of(const Tensors& gradients) {
    PauseTapes pause;
    const auto count = static_cast<int64_t>(gradients.size());
    if (count == 0) return Tensor::scalar(0, Dtype::f64);
    for (const Tensor& g : gradients) {
        if (!g.defined()) throw ShapeError("norm", "expected gradients, got an undefined one");
        if (g.dtype() != Dtype::f32 && g.dtype() != Dtype::f64)
            throw DtypeError("norm", str("expected gradients of f32 or f64, got ", g.spec()));
    }
    const Device device = gradients[0].device();
    Tensor squares = Tensor::zeros({count}, Dtype::f64, device);
    for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
        Tensor sums = Tensor::zeros({count}, dtype, device);
        bool any = false;
        for (int64_t i = 0; i < count; ++i) {
            const Tensor& g = gradients[static_cast<std::size_t>(i)];
            if (g.dtype() != dtype) continue;
            Tensor one = sums.view({}, i);
            kernels::reduce(kernels::Reduction::sum_of_squares, g, kernels::all_axes(g.shape()), one);
            any = true;
        }
        if (any) squares = squares + cast(sums, Dtype::f64);
    }
    return sqrt(sum(squares));
}

Tensors clip_by_norm(const Tensors& gradients, const Tensor& norm, double max_norm) {
    require_rate("norm", max_norm);
    PauseTapes pause;
    const Tensor factor = minimum(max_norm / norm, literal_like(norm, 1));
    Tensors result;
    for (const Tensor& g : gradients) result.push_back(g * cast(factor, g.dtype()));
    return result;
}

ClippedGradients clip_by_norm(const Tensors& gradients, double max_norm) {
    require_rate("norm", max_norm);
    const Tensor norm = norm_of(gradients);
    ClippedGradients result{gradients, norm.item()};
    if (std::isfinite(result.norm) && result.norm > max_norm)
        result.gradients = clip_by_norm(gradients, norm, max_norm);
    return result;
}

Tensors clip_by_value(const Tensors& gradients, double limit) {
    require_rate("limit", limit);
    Tensors result;
    for (const Tensor& g : gradients) {
        Tensor clipped(g.spec());
        kernels::ternary(kernels::Ternary::clamp, g, literal_like(g, -limit), literal_like(g, limit),
                         clipped);
        result.push_back(clipped);
    }
    return result;
}

WeightAverage::WeightAverage(const Module& model, double decay, bool warm_up)
    : parameters_(model.named_parameters()), decay_(decay), warm_up_(warm_up) {
    if (!(decay >= 0 && decay < 1))
        throw OptionsError("weight_average", str("expected a decay in [0,1), got ", decay));
    for (const NamedParameter& named : parameters_) averages_.push_back(named.parameter->value.clone());
}

void WeightAverage::update() {
    ++updates_;
    const double n = static_cast<double>(updates_);
    const double decay = warm_up_ ? std::min(decay_, (1 + n) / (10 + n)) : decay_;
    for (std::size_t i = 0; i < averages_.size(); ++i)
        kernels::ema_step(decay, parameters_[i].parameter->value, averages_[i]);
}

void WeightAverage::swap() {
    for (std::size_t i = 0; i < averages_.size(); ++i) {
        Tensor weights = parameters_[i].parameter->value.clone();
        parameters_[i].parameter->value.copy_from(averages_[i]);
        averages_[i] = weights;
    }
}

NamedTensors WeightAverage::state() const {
    NamedTensors result{{"average.updates", Tensor::scalar(static_cast<double>(updates_), Dtype::i64)}};
    for (std::size_t i = 0; i < averages_.size(); ++i)
        result.push_back({"average." + parameters_[i].name, copy_on(kCpu, averages_[i])});
    return result;
}

void WeightAverage::restore(const NamedTensors& state) {
    const int64_t updates = entry(state, "average.updates", {{}, Dtype::i64, kCpu}).data<int64_t>()[0];
    if (updates < 0) throw FormatError("restore", str("expected 0 updates or more, got ", updates));
    Tensors averages;
    for (const NamedParameter& named : parameters_) {
        const Spec& spec = named.parameter->value.spec();
        averages.push_back(copy_on(spec.device, entry(state, "average." + named.name, spec)));
    }
    averages_ = std::move(averages);
    updates_ = updates;
}

}  // namespace microtome
