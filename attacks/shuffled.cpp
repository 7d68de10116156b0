#include "attacks/shuffled.hpp"

#include "attacks/gradient_step.hpp"
#include "tensor/random.hpp"

#include <algorithm>

namespace microtome {

Tensor shuffle_perturbation(const Batch& batch, const Tensor& adversarial, uint64_t seed) {
    const Tensor& images = batch.images;
    if (!images.defined() || images.rank() != 4 || !adversarial.defined() ||
        !(adversarial.spec() == images.spec()))
        throw ShapeError("shuffled",
                         str("expected images (N,H,W,C) of one shape, got ", images, " and ", adversarial));
    Tensor result = images.clone();
    const int64_t n = images.size(0), channels = images.size(3), pixels = images.size(1) * images.size(2);
    const auto all = images.data<float>(), attacked = adversarial.data<float>();
    const auto out = result.mutable_data<float>();
    for (int64_t i = 0; i < n; ++i) {
        const auto id = static_cast<uint64_t>(batch.ids.empty() ? i : batch.ids[i]);
        const std::vector<int64_t> order =
            random_permutation({seed, purpose_of("attack:shuffled"), id}, pixels);
        for (int64_t p = 0; p < pixels; ++p)
            for (int64_t c = 0; c < channels; ++c) {
                const int64_t to = (i * pixels + p) * channels + c,
                              from = (i * pixels + order[p]) * channels + c;
                const float change = attacked[from] - all[from], x = all[to];
                float y = x + change;
                if (y < 0 || y > 1) y = x - change;
                out[to] = std::clamp(y, 0.0f, 1.0f);
            }
    }
    return result;
}

Shuffled::Shuffled(std::unique_ptr<Attack> original, uint64_t seed)
    : original_(std::move(original)), name_(str("shuffled-", original_->name())), seed_(seed) {}

AttackOptions Shuffled::options() const {
    AttackOptions options = original_->options();
    options.emplace_back("shuffle seed", str(seed_));
    return options;
}

Threat Shuffled::threat() const {
    Threat threat = original_->threat();
    if (threat.kind == Threat::Kind::patch) threat = {Threat::Kind::ball, Norm::linf, threat.epsilon};
    return threat;
}

Tensor Shuffled::run(Classifier& classifier, const Batch& batch) const {
    require_attackable(name_, classifier, batch);
    Tensor result = shuffle_perturbation(batch, original_->run(classifier, batch), seed_);
    const Threat bound = threat();
    // Differences were rounded, and may now be an ulp too large.
    if (bound.kind == Threat::Kind::ball) project({bound.norm, bound.epsilon}, batch.images, result);
    return result;
}

}  // namespace microtome
