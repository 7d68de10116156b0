#include "nn/initializers.hpp"

#include "base/hash.hpp"
#include "tensor/math.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

namespace microtome {
namespace {

using Words = std::array<uint32_t, 4>;

// Philox 4x32 in 10 rounds: Salmon, Moraes, Dror and Shaw 2011, section 3.3.
Words philox(Words counter, uint64_t seed) {
    uint32_t low = static_cast<uint32_t>(seed), high = static_cast<uint32_t>(seed >> 32);
    for (int round = 0; round < 10; ++round) {
        const uint64_t a = uint64_t{0xd2511f53u} * counter[0], b = uint64_t{0xcd9e8d57u} * counter[2];
        counter = {static_cast<uint32_t>(b >> 32) ^ counter[1] ^ low, static_cast<uint32_t>(b),
                   static_cast<uint32_t>(a >> 32) ^ counter[3] ^ high, static_cast<uint32_t>(a)};
        low += 0x9e3779b9u;
        high += 0xbb67ae85u;
    }
    return counter;
}

// In [0, 1), 24 bits.
float unit(uint32_t word) {
    return static_cast<float>(word >> 8) * 0x1p-24f;
}

// Box and Muller 1958: two normals from two uniforms, of which the one in the logarithm is not 0.
float normal_from(const Words& words, int i) {
    const uint32_t radius = words[i & 2], angle = words[(i & 2) + 1];
    const double r = std::sqrt(-2 * math::log((radius + 0.5) * 0x1p-32));
    const double turn = 2 * std::numbers::pi * (angle * 0x1p-32);
    return static_cast<float>(r * (i & 1 ? math::sin(turn) : math::cos(turn)));
}

// Element i of a draw comes from word i % 4 of counter (i / 4, attempt, purpose).
struct Stream {
    uint64_t seed, purpose;
    uint32_t attempt = 0;

    template <class Law>
    void fill(std::span<float> x, const Law& law) const {
        Words words{};
        for (std::size_t i = 0; i < x.size(); ++i) {
            if (i % 4 == 0)
                words = philox({static_cast<uint32_t>(i / 4), attempt, static_cast<uint32_t>(purpose),
                                static_cast<uint32_t>(purpose >> 32)},
                               seed);
            x[i] = law(words, static_cast<int>(i % 4));
        }
    }
};

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
    if (initializer.law == Law::constant) return Tensor::full(spec.shape, amount, spec.dtype, spec.device);

    Stream stream{seed, hash_bytes(str("initialize ", name))};
    Tensor drawn(Spec{spec.shape, Dtype::f32, kCpu});
    std::span<float> x = drawn.mutable_data<float>();
    if (initializer.law == Law::uniform) {
        stream.fill(x, [&](const Words& words, int i) {
            return static_cast<float>(amount) * (2 * unit(words[i]) - 1);
        });
    } else {
        stream.fill(x, normal_from);
        if (initializer.law == Law::truncated_normal) {
            constexpr float kCut = 2;
            Tensor again(drawn.spec());
            std::span<float> fresh = again.mutable_data<float>();
            auto outside = [](float draw) { return std::abs(draw) > kCut; };
            while (std::any_of(x.begin(), x.end(), outside)) {
                ++stream.attempt;
                stream.fill(fresh, normal_from);
                for (std::size_t i = 0; i < x.size(); ++i)
                    if (outside(x[i])) x[i] = fresh[i];
            }
        }
        for (float& draw : x) draw *= static_cast<float>(amount);
    }
    return visit_f32_f64("initialize", spec.dtype, [&]<class T>() {
        if constexpr (std::is_same_v<T, float>) {
            return drawn;
        } else {
            Tensor result(spec);
            std::copy(x.begin(), x.end(), result.mutable_data<T>().begin());
            return result;
        }
    });
}

}  // namespace microtome
