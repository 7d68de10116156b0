#include "nn/initializers.hpp"

#include "tensor/random.hpp"

#include <algorithm>
#include <cmath>

namespace microtome {
namespace {

double spread(const Initializer& initializer, const Shape& shape) {
    using Scale = Initializer::Scale;
    if (initializer.scale == Scale::absolute) return initializer.amount;
    if (shape.rank() < 2)
        throw ShapeError("initialize", str("expected a matrix or filters for a law with a fan, got ", shape));
    double receptive = 1;
    for (int axis = 1; axis + 1 < shape.rank(); ++axis) receptive *= static_cast<double>(shape[axis]);
    const double fan_in = receptive * static_cast<double>(shape[-1]);
    const double fan_out = receptive * static_cast<double>(shape[0]);
    const double fan = initializer.scale == Scale::fan_in    ? fan_in
                       : initializer.scale == Scale::fan_out ? fan_out
                                                             : (fan_in + fan_out) / 2;
    return fan > 0 ? std::sqrt(initializer.amount / fan) : 0;
}

}  // namespace

Tensor initial_value(const Initializer& initializer, const Spec& spec, uint64_t seed, std::string_view name) {
    using Law = Initializer::Law;
    const double amount = spread(initializer, spec.shape);
    if (spec.dtype != Dtype::f32 && spec.dtype != Dtype::f64)
        throw DtypeError("initialize", str("expected f32 or f64, got ", spec));
    if (initializer.law == Law::constant) return Tensor::full(spec.shape, amount, spec.dtype, spec.device);

    RandomKey key{.seed = seed, .purpose = purpose_of(str("initialize:", name))};
    Tensor drawn(Spec{spec.shape, Dtype::f32, kCpu});
    std::span<float> x = drawn.mutable_data<float>();
    if (initializer.law == Law::uniform) {
        fill_uniform(key, x, -amount, amount);
    } else {
        fill_normal(key, x);
        if (initializer.law == Law::truncated_normal) {
            constexpr float kCut = 2;
            Tensor again(drawn.spec());
            std::span<float> fresh = again.mutable_data<float>();
            auto outside = [](float draw) { return std::abs(draw) > kCut; };
            while (std::any_of(x.begin(), x.end(), outside)) {
                ++key.step;
                fill_normal(key, fresh);
                for (std::size_t i = 0; i < x.size(); ++i)
                    if (outside(x[i])) x[i] = fresh[i];
            }
        }
        for (float& draw : x) draw *= static_cast<float>(amount);
    }
    return visit_f32_f64("initialize", spec.dtype, [&]<class T>() {
        if constexpr (std::is_same_v<T, float>) {
            return drawn.to(spec.device);
        } else {
            Tensor result(Spec{spec.shape, spec.dtype, kCpu});
            std::copy(x.begin(), x.end(), result.mutable_data<T>().begin());
            return result.to(spec.device);
        }
    });
}

}  // namespace microtome
