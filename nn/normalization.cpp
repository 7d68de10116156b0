#include "nn/normalization.hpp"

#include "autograd/ops/arithmetic.hpp"
#include "autograd/ops/normalization.hpp"
#include "tensor/dual_math.hpp"
#include "tensor/kernels/elementwise.hpp"

#include <algorithm>
#include <cmath>

namespace microtome {
namespace {

// running = (1 - w) running + w scale batch
void blend(Tensor& running, const Tensor& batch, double w, double scale) {
    if (running.device() != kCpu) {  // the same roundings by kernels
        kernels::binary(kernels::Binary::multiply, running, literal_like(running, 1 - w), running);
        kernels::ternary(kernels::Ternary::multiply_add, batch, literal_like(running, w * scale), running,
                         running);
        return;
    }
    visit_floating("batch_norm", running.dtype(), [&]<class T>() {
        const T keep = static_cast<T>(1 - w), take = static_cast<T>(w * scale);
        std::span<const T> fresh = batch.data<T>();
        std::span<T> old = running.mutable_data<T>();
        for (std::size_t i = 0; i < old.size(); ++i) old[i] = math::fma(take, fresh[i], keep * old[i]);
    });
}

}  // namespace

BatchNorm::BatchNorm(int64_t channels, const BatchNormOptions& options)
    : options_(options),
      weight_(add_weight("weight", {channels}, ones())),
      bias_(add_weight("bias", {channels}, zeros())),
      running_mean_(add_buffer("running_mean", {channels}, zeros())),
      running_variance_(add_buffer("running_var", {channels}, ones())) {
    if (channels < 1) throw OptionsError("batch_norm", str("expected channels of 1 or more, got ", channels));
    if (!(options.eps > 0) || !(options.new_weight >= 0 && options.new_weight <= 1))
        throw OptionsError("batch_norm", str("expected eps above 0 and new_weight in [0,1], got ",
                                             options.eps, " and ", options.new_weight));
}

std::string BatchNorm::options() const {
    return str(weight_.value.size(0), ", eps ", options_.eps, ", new weight ", options_.new_weight);
}

Tensor BatchNorm::forward(const Tensor& x, const Pass&) {
    const bool frozen = running_mean_.frozen || running_variance_.frozen;
    if (!training() || frozen)
        return batch_norm_inference(x, weight_.value, bias_.value, running_mean_.value,
                                    running_variance_.value, options_.eps);

    BatchNormResult result = batch_norm_train(x, weight_.value, bias_.value, options_.eps);
    if (!result.mean.is_abstract()) {
        const double n = static_cast<double>(x.elements() / x.size(-1));
        const double correction = options_.unbiased_variance ? n / std::max(n - 1, 1.0) : 1;
        blend(running_mean_.value, result.mean, options_.new_weight, 1);
        blend(running_variance_.value, result.variance, options_.new_weight, correction);
    }
    return result.y;
}

LayerNorm::LayerNorm(int64_t size, double eps)
    : eps_(eps), weight_(add_weight("weight", {size}, ones())), bias_(add_weight("bias", {size}, zeros())) {
    if (size < 1 || !(eps > 0))
        throw OptionsError("layer_norm",
                           str("expected a size of 1 or more and eps above 0, got ", size, " and ", eps));
}

std::string LayerNorm::options() const {
    return str(weight_.value.size(0), ", eps ", eps_);
}

Tensor LayerNorm::forward(const Tensor& x, const Pass&) {
    return layer_norm(x, weight_.value, bias_.value, eps_);
}

}  // namespace microtome
