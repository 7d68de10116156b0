#include "attacks/universal_perturbation.hpp"

#include "attacks/epsilon.hpp"
#include "autograd/ops/arithmetic.hpp"
#include "autograd/ops/comparison.hpp"
#include "autograd/ops/control.hpp"
#include "autograd/ops/elementwise.hpp"

namespace microtome {

UniversalPerturbation::UniversalPerturbation(const UniversalPerturbationOptions& options)
    : UniversalAttack("universal", options.fit),
      epsilon_(options.epsilon),
      random_start_(options.random_start) {
    if (!(epsilon_ >= 0 && epsilon_ <= 1))
        throw OptionsError(name(), str("expected epsilon from 0 to 1, got ", epsilon_),
                           "images are in [0,1]: grey levels are written as 8/255");
}

AttackOptions UniversalPerturbation::own_options() const {
    return {{"epsilon", epsilon_text(epsilon_)}, {"start", random_start_ ? "uniform in the ball" : "zero"}};
}

Tensor UniversalPerturbation::start(const Shape& pattern) const {
    Tensor v = Tensor::zeros(pattern);
    if (!random_start_) return v;
    fill_start(v);
    for (float& value : v.mutable_data<float>())
        value = static_cast<float>(epsilon_ * (2.0 * static_cast<double>(value) - 1));
    kernels::project_linf(pattern_bounds(), Tensor::zeros(pattern), v);
    return v;
}

Tensor UniversalPerturbation::place(const Tensor& pattern, const Batch& batch, int64_t) const {
    const Tensor sum = batch.images + pattern;
    // The clip's derivative counts its ends as inside: where white paper is exactly 1, and v still 0, v could
    // never become darker otherwise.
    const Tensor inside = greater_equal(sum, 0.0) * less_equal(sum, 1.0);
    return replace_gradient(clamp(sum, 0, 1), sum * inside);
}

}  // namespace microtome
