#include "attacks/gradient_attack.hpp"

#include "attacks/device_walk.hpp"
#include "attacks/epsilon.hpp"
#include "attacks/gradient_step.hpp"
#include "attacks/random_start.hpp"
#include "autograd/ops/losses.hpp"
#include "base/interrupt.hpp"
#include "tensor/kernels/index.hpp"
#include "tensor/kernels/updates.hpp"
#include "tensor/random.hpp"

#include <limits>
#include <numeric>

namespace microtome {
namespace {

// Rows at these places, copied.
Tensor rows(const Tensor& x, const std::vector<int64_t>& places) {
    return select(Batch{.images = x}, places).images;
}

// Row `from` of source into row `to` of x.
void put_row(const Tensor& source, int64_t from, Tensor& x, int64_t to) {
    const int64_t size = x.elements() / x.size(0);
    const Shape one = x.shape().with(0, 1);
    x.view(one, to * size).copy_from(source.view(one, from * size));
}

}  // namespace

GradientAttack::GradientAttack(std::string name, const GradientAttackOptions& options)
    : name_(std::move(name)), options_(options) {
    auto require = [&](bool holds, std::string_view text, auto value, std::string_view hint = "") {
        if (!holds) throw OptionsError(name_, str("expected ", text, ", got ", value), hint);
    };
    const auto& o = options_;
    require(o.epsilon >= 0 && o.epsilon <= std::numeric_limits<float>::max(), "epsilon of 0 or more",
            o.epsilon);
    require(o.norm != Norm::linf || o.epsilon <= 1, "epsilon of at most 1 in L-inf", o.epsilon,
            "images are in [0,1]: grey levels are written as 8/255");
    require(o.step >= 0 && o.step <= std::numeric_limits<float>::max(), "a step of 0 or more", o.step);
    require(o.steps >= 1 && o.steps <= 1'000'000, "1 to a million steps", o.steps);
    require(o.restarts >= 1 && o.restarts <= 1'000'000, "1 to a million restarts", o.restarts);
    require(o.restarts == 1 || o.random_start, "one restart without a random start", o.restarts,
            "without one, every restart would be the same");
    require(o.momentum >= 0 && o.momentum <= 1, "momentum from 0 to 1", o.momentum);
    require(o.target.wanted >= 0, "a class to aim at of 0 or more", o.target.wanted);
}

double GradientAttack::step_length() const {
    return options_.step > 0 ? options_.step : 2.5 * options_.epsilon / static_cast<double>(options_.steps);
}

AttackOptions GradientAttack::options() const {
    const auto& o = options_;
    return {{"norm", o.norm == Norm::linf ? "linf" : "l2"},
            {"epsilon", epsilon_text(o.epsilon)},
            {"step", epsilon_text(step_length())},
            {"steps", str(o.steps)},
            {"start", o.random_start ? "uniform in the ball" : "the image"},
            {"restarts", str(o.restarts)},
            {"momentum", str(o.momentum)},
            {"loss", loss_text(o.loss, o.target.rule != Target::Rule::none)},
            {"target", target_text(o.target)},
            {"stop", o.stop == StopRule::never ? "never" : "fooled"},
            {"seed", str(o.seed)}};
}

Passes GradientAttack::cost() const {
    const int64_t ends = options_.restarts > 1 ? options_.restarts : 0;
    return {options_.restarts * options_.steps + ends, options_.restarts * options_.steps};
}

Tensor GradientAttack::goals(const Batch& batch, int64_t classes) const {
    return goals_of(options_.target, batch, classes, options_.seed, name_);
}

Tensor GradientAttack::start(const Batch& batch, int64_t restart) const {
    if (!options_.random_start) return batch.images.clone();
    return random_start({options_.norm, options_.epsilon}, batch,
                        {.seed = options_.seed,
                         .purpose = purpose_of("attack:" + name_),
                         .restart = static_cast<uint32_t>(restart)});
}

// One restart: where it ended, and which images stopped on the way because they fooled the classifier.
struct GradientAttack::Walk {
    Tensor images;
    std::vector<bool> stopped;
};

GradientAttack::Walk GradientAttack::walk(Classifier& classifier, const Batch& batch, int64_t restart) const {
    const int64_t n = batch.images.size(0);
    Batch now = batch;
    now.images = start(batch, restart);
    Tensor origin = batch.images, goal = goals(batch, classifier.classes());
    const Ball ball{options_.norm, options_.epsilon};
    if (observer_ == nullptr) {
        const DeviceWalkOptions same{ball,          step_length(), options_.momentum,
                                     options_.loss, options_.stop, options_.steps};
        if (auto walked =
                walk_on_device(name_, same, classifier, origin, now, goal, {options_.seed, restart}))
            return {std::move(walked->images), std::move(walked->stopped)};
    }
    Walk result{{}, std::vector<bool>(n)};
    // Those still on their way: their places in the batch, where they came from, where they are.
    std::vector<int64_t> places(n);
    std::iota(places.begin(), places.end(), 0);
    GradientStep step(ball, step_length(), options_.momentum);

    for (int64_t t = 0; t < options_.steps; ++t) {
        if (interrupted()) throw Interrupted(name_);
        const Query query{options_.seed, restart, t};
        const Tensor logits = classifier.logits(now, query);
        std::vector<int64_t> staying;
        if (options_.stop == StopRule::fooled) {
            const std::vector<bool> done = fooled(logits, now.targets, goal);
            if (!result.images.defined()) result.images = batch.images.clone();
            for (std::size_t i = 0; i < done.size(); ++i) {
                if (!done[i]) {
                    staying.push_back(static_cast<int64_t>(i));
                    continue;
                }
                put_row(now.images, static_cast<int64_t>(i), result.images, places[i]);
                result.stopped[places[i]] = true;
            }
            if (staying.empty()) return result;
        }
        LossAtLogits loss = loss_at(options_.loss, logits, now.targets, goal);
        Tensor gradient = classifier.vjp(loss.gradient);
        Tensor wins = observer_ ? margin(logits, now.targets) : Tensor();
        if (!staying.empty() && staying.size() < places.size()) {
            for (std::size_t i = 0; i < staying.size(); ++i) places[i] = places[staying[i]];
            places.resize(staying.size());
            now = select(now, staying);
            origin = rows(origin, staying), gradient = rows(gradient, staying);
            if (goal.defined()) goal = rows(goal, staying);
            if (observer_) wins = rows(wins, staying), loss.values = rows(loss.values, staying);
            step.keep(staying);
        }
        step.measure(gradient);
        step.require_finite(gradient, name_, now.ids, t);
        if (observer_) {
            const Tensor losses = loss.values.to(kCpu), margins = wins.to(kCpu);
            step.observe(*observer_,
                         {.restart = restart,
                          .step = t,
                          .ids = now.ids,
                          .loss = losses.data<float>(),
                          .margin = margins.data<float>()},
                         gradient, origin, now.images);
        } else {
            step(gradient, origin, now.images);
        }
    }
    if (places.size() == static_cast<std::size_t>(n)) {
        result.images = now.images;
        return result;
    }
    for (std::size_t i = 0; i < places.size(); ++i)
        put_row(now.images, static_cast<int64_t>(i), result.images, places[i]);
    return result;
}

Tensor GradientAttack::run(Classifier& classifier, const Batch& given) const {
    require_attackable(name_, classifier, given);
    const int64_t n = given.images.size(0);
    if (n == 0) return given.images.clone();
    const Device home = given.images.device();
    // An observer is told of a batch step by step; otherwise each image goes its way alone.
    const int64_t together = observer_ ? n : classifier.suggested_batch(given.images.spec());
    if (together < n) {
        Tensor result = given.images.clone();
        for (int64_t begin = 0; begin < n; begin += together) {
            const Batch part = slice(given, begin, std::min(n, begin + together));
            const int64_t from = begin * (result.elements() / n);
            result.view(part.images.shape(), from).copy_from(run(classifier, part));
        }
        return result;
    }
    const Batch batch = to(slice(given, 0, n), classifier.device());  // with ids
    if (options_.restarts == 1) return walk(classifier, batch, 0).images.to(home);

    Tensor result = batch.images.clone();
    std::vector<float> highest(n, -std::numeric_limits<float>::infinity());
    std::vector<int64_t> survivors(n);
    std::iota(survivors.begin(), survivors.end(), 0);
    for (int64_t restart = 0; restart < options_.restarts && !survivors.empty(); ++restart) {
        const Batch part = restart == 0 ? batch : select(batch, survivors);
        const Walk walked = walk(classifier, part, restart);
        std::vector<int64_t> open;  // places in the part
        for (std::size_t i = 0; i < survivors.size(); ++i) {
            if (walked.stopped[i])
                put_row(walked.images, static_cast<int64_t>(i), result, survivors[i]);
            else
                open.push_back(static_cast<int64_t>(i));
        }
        std::vector<int64_t> left;
        if (!open.empty()) {
            Batch ends = part;
            ends.images = walked.images;
            if (open.size() < survivors.size()) ends = select(ends, open);
            const Tensor logits = classifier.logits(ends, {options_.seed, restart, options_.steps});
            const Tensor goal = goals(ends, classifier.classes());
            const std::vector<bool> done = fooled(logits, ends.targets, goal);
            const Tensor loss = loss_at(options_.loss, logits, ends.targets, goal).values.to(kCpu);
            for (std::size_t i = 0; i < open.size(); ++i) {
                const int64_t place = survivors[open[i]];
                if (!done[i]) left.push_back(place);
                if (!done[i] && !(loss.data<float>()[i] > highest[place])) continue;
                highest[place] = loss.data<float>()[i];
                put_row(ends.images, static_cast<int64_t>(i), result, place);
            }
        }
        survivors = std::move(left);
    }
    return result.to(home);
}

}  // namespace microtome
