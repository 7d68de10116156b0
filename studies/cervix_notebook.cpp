#include "studies/cervix_notebook.hpp"

#include "attacks/losses.hpp"
#include "autograd/ops/losses.hpp"
#include "autograd/ops/reductions.hpp"
#include "autograd/tape.hpp"
#include "base/error.hpp"
#include "tensor/random.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace microtome {
namespace {

constexpr std::array<double, 3> kMean{0.485, 0.456, 0.406}, kDeviation{0.229, 0.224, 0.225};

Tensor normalised(const Tensor& x, bool back) {
    if (x.rank() != 4 || x.size(3) != 3)
        throw ShapeError("cervix notebook", str("expected images (N,H,W,3), got ", x));
    Tensor result(x.spec());
    std::span<const float> from = x.data<float>();
    std::span<float> to = result.mutable_data<float>();
    for (std::size_t i = 0; i < to.size(); ++i) {
        const double mean = kMean[i % 3], deviation = kDeviation[i % 3];
        to[i] = static_cast<float>(
            back ? std::clamp(std::fma(static_cast<double>(from[i]), deviation, mean), 0., 1.)
                 : (from[i] - mean) / deviation);
    }
    return result;
}

struct Bounds {
    std::array<float, 3> low{0, 0, 0}, high{1, 1, 1};
};

Bounds bounds_of(bool sound) {
    Bounds bounds;
    for (std::size_t c = 0; c < 3 && sound; ++c) {
        bounds.low[c] = static_cast<float>(-kMean[c] / kDeviation[c]);
        bounds.high[c] = static_cast<float>((1 - kMean[c]) / kDeviation[c]);
    }
    return bounds;
}

float sign(float x) {
    return static_cast<float>((x > 0) - (x < 0));
}

// What one run of a model in train mode gives: logits, and the gradients of the mean loss.
struct TrainPass {
    Tensor logits, by_images;
    Tensors by_weights;
};

TrainPass train_pass(Module& model, const Tensor& images, const Tensor& labels, uint64_t seed, int64_t step,
                     const std::vector<int64_t>& ids) {
    model.train();
    TrainPass result;
    Tensor x = images.view(images.shape());
    Tape tape;
    Tensors watched{x};
    for (const Tensor& weight : model.parameters()) watched.push_back(weight);
    tape.watch(watched);
    result.logits = model(x, {.seed = seed, .step = step, .ids = ids});
    Tensors gradients =
        tape.gradient(mean(cross_entropy(result.logits, labels)), watched, Tape::After::release);
    result.by_images = gradients.front();
    result.by_weights.assign(gradients.begin() + 1, gradients.end());
    return result;
}

int64_t count_right(const Tensor& logits, const Tensor& labels) {
    const int64_t classes = logits.size(1);
    int64_t right = 0;
    for (int64_t i = 0; i < logits.size(0); ++i) {
        const float* z = logits.data<float>().data() + i * classes;
        right += std::max_element(z, z + classes) - z == labels.data<int64_t>()[i];
    }
    return right;
}

void add_to(Tensors& sums, const Tensors& more) {
    for (std::size_t k = 0; k < sums.size(); ++k) {
        std::span<float> to = sums[k].mutable_data<float>();
        std::span<const float> from = more[k].data<float>();
        for (std::size_t i = 0; i < to.size(); ++i) to[i] += from[i];
    }
}

CervixAttack attack_of(CervixLoop loop) {
    switch (loop) {
        case CervixLoop::rpa: return CervixAttack::rpa;
        case CervixLoop::gna: return CervixAttack::gna;
        case CervixLoop::bim: return CervixAttack::bim;
        default: return CervixAttack::fgsm;
    }
}

std::string_view word_of(CervixAttack attack) {
    switch (attack) {
        case CervixAttack::fgsm: return "fgsm";
        case CervixAttack::rpa: return "rpa";
        case CervixAttack::gna: return "gna";
        case CervixAttack::bim: return "bim";
        case CervixAttack::clamp: break;
    }
    return "clamp";
}

}  // namespace

CervixNotebookAttack::CervixNotebookAttack(CervixAttack attack, bool sound, uint64_t seed)
    : attack_(attack),
      sound_(sound),
      seed_(seed),
      name_(str(sound ? "cervix-" : "notebook-", word_of(attack))) {}

AttackOptions CervixNotebookAttack::options() const {
    AttackOptions options{{"epsilon", attack_ == CervixAttack::clamp ? "0" : str(kEpsilon, " deviations")}};
    if (attack_ == CervixAttack::bim) {
        options.emplace_back("step", str(kAlpha, " deviations"));
        options.emplace_back("steps", str(kSteps));
    }
    options.emplace_back("clamp", sound_ ? "to the range of images" : "to [0, 1] after normalization");
    options.emplace_back("seed", str(seed_));
    return options;
}

Threat CervixNotebookAttack::threat() const {
    const double reach = attack_ == CervixAttack::clamp ? 0 : kEpsilon;
    return {attack_ == CervixAttack::gna ? Threat::Kind::noise : Threat::Kind::ball, Norm::linf,
            reach * *std::max_element(kDeviation.begin(), kDeviation.end())};
}

Passes CervixNotebookAttack::cost() const {
    const int64_t passes = attack_ == CervixAttack::bim ? kSteps : attack_ == CervixAttack::fgsm;
    return {passes, passes};
}

Tensor CervixNotebookAttack::craft(const Batch& batch, const Gradient& gradient, int64_t step) const {
    const Tensor original = normalised(batch.images, false);
    const Bounds bounds = bounds_of(sound_);
    const auto eps = static_cast<float>(kEpsilon), alpha = static_cast<float>(kAlpha);
    Tensor z = original.clone();
    // Which way an image goes changes with normalization only in length.
    auto walk = [&](float length) {
        const Tensor g = gradient(normalised(z, true));
        std::span<float> to = z.mutable_data<float>();
        std::span<const float> from = original.data<float>(), slopes = g.data<float>();
        for (std::size_t i = 0; i < to.size(); ++i) {
            const float moved = std::fma(length, sign(slopes[i]), to[i]);
            to[i] = std::clamp(from[i] + std::clamp(moved - from[i], -eps, eps), bounds.low[i % 3],
                               bounds.high[i % 3]);
        }
    };
    if (attack_ == CervixAttack::fgsm) walk(eps);
    for (int64_t k = 0; k < kSteps && attack_ == CervixAttack::bim; ++k) walk(alpha);
    if (attack_ == CervixAttack::fgsm || attack_ == CervixAttack::bim) return normalised(z, true);

    std::span<float> to = z.mutable_data<float>();
    const std::size_t size = to.size() / static_cast<std::size_t>(batch.images.size(0));
    std::vector<float> noise(size, 0);
    for (std::size_t n = 0; n * size < to.size(); ++n) {
        const auto id = static_cast<uint64_t>(batch.ids.empty() ? static_cast<int64_t>(n) : batch.ids[n]);
        const RandomKey key{seed_, purpose_of(name_), id, 0, static_cast<uint32_t>(step)};
        if (attack_ == CervixAttack::rpa) fill_uniform(key, noise, -kEpsilon, kEpsilon);
        if (attack_ == CervixAttack::gna) fill_normal(key, noise);
        const float length = attack_ == CervixAttack::gna ? eps : 1;
        for (std::size_t i = 0; i < size; ++i)
            to[n * size + i] = std::clamp(std::fma(length, noise[i], to[n * size + i]), bounds.low[i % 3],
                                          bounds.high[i % 3]);
    }
    return normalised(z, true);
}

Tensor CervixNotebookAttack::run(Classifier& classifier, const Batch& batch) const {
    require_attackable(name(), classifier, batch);
    return craft(
        batch,
        [&](const Tensor& images) {
            const Tensor logits = classifier.logits({images, batch.targets, batch.ids});
            return classifier.vjp(loss_at(AttackLoss::cross_entropy, logits, batch.targets).gradient);
        },
        0);
}

const std::vector<CervixLoop>& cervix_loops() {
    static const std::vector<CervixLoop> loops{CervixLoop::clean, CervixLoop::fgsm, CervixLoop::rpa,
                                               CervixLoop::gna, CervixLoop::bim};
    return loops;
}

std::string_view name_of(CervixLoop loop) {
    return loop == CervixLoop::clean ? "clean" : word_of(attack_of(loop));
}

CervixLoopCounts run_cervix_epoch(Module& model, Optimizer& optimizer, CervixLoop loop, BatchSource& images,
                                  int64_t epoch, uint64_t seed, const std::function<bool(int64_t)>& advance) {
    const CervixNotebookAttack attack(attack_of(loop), false, seed);
    CervixLoopCounts counts;
    images.start(epoch);
    while (std::optional<Batch> batch = images.next()) {
        auto pass = [&](const Tensor& x) {
            return train_pass(model, x, batch->targets, seed, optimizer.steps(), batch->ids);
        };
        const TrainPass clean = pass(batch->images);
        Tensors gradients = clean.by_weights;
        const Tensor attacked = attack.craft(
            *batch,
            [&](const Tensor& x) {
                // FGSM goes by the gradient that the loss left; BIM runs the network anew.
                if (loop != CervixLoop::bim) return clean.by_images;
                const TrainPass again = pass(x);
                add_to(gradients, again.by_weights);
                return again.by_images;
            },
            epoch);
        const TrainPass after = pass(attacked);
        if (loop == CervixLoop::fgsm) {
            gradients = after.by_weights;
            counts.correct += count_right(after.logits, batch->targets);
        } else {
            counts.correct += count_right(clean.logits, batch->targets);
            counts.attacked += count_right(after.logits, batch->targets);
        }
        optimizer.step(gradients);
        counts.images += batch->images.size(0);
        if (!advance(batch->images.size(0))) break;
    }
    return counts;
}

}  // namespace microtome
