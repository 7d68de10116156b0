#include "defenses/adversarial_fine_tuning.hpp"

#include "autograd/ops/arithmetic.hpp"
#include "autograd/ops/losses.hpp"
#include "base/error.hpp"
#include "base/hash.hpp"
#include "base/interrupt.hpp"
#include "tensor/random.hpp"

#include <algorithm>
#include <cmath>

namespace microtome {
namespace {

Tensor stacked(const Tensor& a, const Tensor& b) {
    Tensor result(Spec{a.shape().with(0, a.size(0) + b.size(0)), a.dtype(), a.device()});
    result.view(a.shape()).copy_from(a);
    result.view(b.shape(), a.elements()).copy_from(b);
    return result;
}

// What an image is called in one step, so that an attack's random start there is not that of the step before.
int64_t name_in_step(int64_t id, int64_t step) {
    const int64_t parts[] = {id, step};
    return static_cast<int64_t>(hash_bytes(std::as_bytes(std::span(parts))) >> 1);
}

std::vector<uint8_t> in_8_bits(std::span<const float> image) {
    std::vector<uint8_t> levels(image.size());
    for (std::size_t i = 0; i < image.size(); ++i)
        levels[i] = static_cast<uint8_t>(std::rint(std::clamp(image[i], 0.f, 1.f) * 255.f));
    return levels;
}

}  // namespace

Batch paired(const Batch& clean, const Tensor& adversarial) {
    if (!(clean.images.spec() == adversarial.spec()))
        throw ShapeError("adversarial fine-tuning", str("expected attacked images ", clean.images.spec(),
                                                        " as the clean ones, got ", adversarial));
    Batch all = slice(clean, 0, clean.images.size(0));  // fills in the ids
    Batch result{stacked(all.images, adversarial), stacked(all.targets, all.targets), all.ids};
    result.ids.insert(result.ids.end(), all.ids.begin(), all.ids.end());
    return result;
}

Objective paired_objective(const PairWeights& weights) {
    if (!(weights.clean >= 0 && weights.adversarial >= 0 && weights.clean + weights.adversarial > 0))
        throw OptionsError("adversarial fine-tuning",
                           str("expected weights of 0 or more that are not both 0, got ", weights.clean,
                               " and ", weights.adversarial));
    return [weights](Module& model, const Batch& batch, const Pass& pass) {
        int64_t pairs = batch.images.size(0) / 2;
        if (pairs * 2 != batch.images.size(0))
            throw ShapeError("adversarial fine-tuning",
                             str("expected pairs of images, got ", batch.images.size(0), " of them"));
        // Over 2 N losses the mean halves each part's weight; this undoes it.
        std::vector<float> factors(2 * pairs, static_cast<float>(2 * weights.clean));
        std::fill(factors.begin() + pairs, factors.end(), static_cast<float>(2 * weights.adversarial));
        const Tensor losses = cross_entropy(model(batch.images, pass), batch.targets);
        return losses * Tensor::of(factors, {2 * pairs}).to(losses.device());
    };
}

Craft fresh_pairs(std::vector<const Attack*> attacks, ModelOptions options) {
    if (attacks.empty()) throw OptionsError("adversarial fine-tuning", "expected an attack, got none");
    return [attacks = std::move(attacks), options = std::move(options)](Module& model, const Batch& batch,
                                                                        int64_t step) {
        ModelClassifier classifier(model, options);
        Batch renamed = slice(batch, 0, batch.images.size(0));
        for (int64_t& id : renamed.ids) id = name_in_step(id, step);
        const Attack& attack = *attacks[step % static_cast<int64_t>(attacks.size())];
        const Device home = batch.images.device();
        if (attack.takes_images_on(home)) return paired(batch, attack.run(classifier, renamed));
        return paired(batch, attack.run(classifier, to(renamed, kCpu)).to(home));
    };
}

StaticPairs::StaticPairs(Classifier& classifier, BatchSource& clean,
                         const std::vector<const Attack*>& attacks, int64_t batch, uint64_t seed,
                         const std::function<bool(int64_t)>& made)
    : attacked_(attacks.size()), batch_(batch), seed_(seed) {
    if (attacks.empty()) throw OptionsError("adversarial fine-tuning", "expected an attack, got none");
    if (batch < 1)
        throw OptionsError("adversarial fine-tuning", str("expected a batch of 1 or more, got ", batch));
    auto append = [](std::vector<std::vector<uint8_t>>& to, const Tensor& images) {
        const std::size_t each = images.elements() / images.size(0);
        for (int64_t i = 0; i < images.size(0); ++i)
            to.push_back(in_8_bits(images.data<float>().subspan(i * each, each)));
    };
    clean.start(0);
    bool go_on = true;
    while (std::optional<Batch> next = go_on ? clean.next() : std::nullopt) {
        const Batch images = slice(*next, 0, next->images.size(0));
        if (images.images.size(0) == 0) continue;
        Tensors attacked;
        try {
            for (const Attack* attack : attacks) attacked.push_back(attack->run(classifier, images));
        } catch (const Interrupted&) {
            break;  // the batches so far are whole
        }
        shape_ = images.images.shape().with(0, 1);
        append(clean_, images.images);
        for (std::size_t a = 0; a < attacks.size(); ++a) append(attacked_[a], attacked[a]);
        std::span<const int64_t> labels = images.targets.data<int64_t>();
        labels_.insert(labels_.end(), labels.begin(), labels.end());
        ids_.insert(ids_.end(), images.ids.begin(), images.ids.end());
        if (made) go_on = made(this->images() * static_cast<int64_t>(attacks.size()));
    }
    if (ids_.empty() && interrupted()) throw Interrupted("adversarial fine-tuning");
    if (ids_.empty()) throw OptionsError("adversarial fine-tuning", "expected images, got none");
}

void StaticPairs::start(int64_t epoch) {
    epoch_ = epoch;
    position_ = 0;
    order_ = random_permutation(
        {.seed = seed_, .purpose = purpose_of("shuffle"), .sample = static_cast<uint64_t>(epoch)}, images());
}

std::optional<Batch> StaticPairs::next() {
    if (epoch_ < 0) throw Error("adversarial fine-tuning", "expected start() before next()");
    if (position_ == images()) return std::nullopt;
    const int64_t first = position_, n = std::min(batch_, images() - first);
    position_ += n;
    const Shape shape = shape_.with(0, n);
    const int64_t each = shape_.elements();
    Batch clean{Tensor(Spec{shape, Dtype::f32, kCpu}), Tensor(Spec{{n}, Dtype::i64, kCpu}), {}};
    Tensor adversarial(clean.images.spec());
    std::span<float> x = clean.images.mutable_data<float>(), attacked = adversarial.mutable_data<float>();
    std::span<int64_t> targets = clean.targets.mutable_data<int64_t>();
    for (int64_t k = 0; k < n; ++k) {
        const int64_t i = order_[first + k];
        const std::vector<uint8_t>& version =
            attacked_[(i + epoch_) % static_cast<int64_t>(attacked_.size())][i];
        for (int64_t p = 0; p < each; ++p) {
            x[k * each + p] = static_cast<float>(clean_[i][p]) / 255.f;
            attacked[k * each + p] = static_cast<float>(version[p]) / 255.f;
        }
        targets[k] = labels_[i];
        clean.ids.push_back(ids_[i]);
    }
    return paired(clean, adversarial);
}

}  // namespace microtome
