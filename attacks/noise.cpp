#include "attacks/noise.hpp"

#include "attacks/epsilon.hpp"
#include "attacks/random_start.hpp"

#include <algorithm>

namespace microtome {
namespace {

void require_epsilon(std::string_view name, double epsilon) {
    if (!(epsilon >= 0 && epsilon <= 1))
        throw OptionsError(name, str("expected epsilon from 0 to 1, got ", epsilon),
                           "images are in [0,1]: grey levels are written as 8/255");
}

AttackOptions noise_options(const NoiseOptions& options) {
    return {{"epsilon", epsilon_text(options.epsilon)}, {"seed", str(options.seed)}};
}

}  // namespace

UniformNoise::UniformNoise(const NoiseOptions& options) : options_(options) {
    require_epsilon(name(), options.epsilon);
}

AttackOptions UniformNoise::options() const {
    return noise_options(options_);
}

Tensor UniformNoise::run(Classifier& classifier, const Batch& batch) const {
    require_attackable(name(), classifier, batch);
    return random_start({Norm::linf, options_.epsilon}, batch,
                        {.seed = options_.seed, .purpose = purpose_of("attack:uniform-noise")});
}

GaussianNoise::GaussianNoise(const NoiseOptions& options) : options_(options) {
    require_epsilon(name(), options.epsilon);
}

AttackOptions GaussianNoise::options() const {
    return noise_options(options_);
}

Tensor GaussianNoise::run(Classifier& classifier, const Batch& batch) const {
    require_attackable(name(), classifier, batch);
    Tensor result(batch.images.spec());
    const int64_t n = result.size(0), size = n == 0 ? 0 : result.elements() / n;
    const float deviation = static_cast<float>(options_.epsilon);
    const RandomKey key{.seed = options_.seed, .purpose = purpose_of("attack:gaussian-noise")};
    for (int64_t i = 0; i < n; ++i) {
        RandomKey own = key;
        own.sample = static_cast<uint64_t>(batch.ids.empty() ? i : batch.ids[i]);
        const auto x = batch.images.data<float>().subspan(i * size, size);
        const auto y = result.mutable_data<float>().subspan(i * size, size);
        fill_normal(own, y);
        for (int64_t j = 0; j < size; ++j) {
            const float step = deviation * y[j];  // rounded on its own, as no fused multiply-add is
            y[j] = std::clamp(x[j] + step, 0.0f, 1.0f);
        }
    }
    return result;
}

}  // namespace microtome
