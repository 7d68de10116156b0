#include "evaluation/rounding.hpp"

#include "autograd/ops/arithmetic.hpp"
#include "autograd/ops/control.hpp"
#include "autograd/tape.hpp"
#include "base/error.hpp"
#include "tensor/math.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace microtome {
namespace {

void require_alike(const char* where, const Tensor& images, const Tensor& originals) {
    if (!images.defined() || !originals.defined() || images.rank() != 4 ||
        !(images.spec() == originals.spec()) || images.dtype() != Dtype::f32)
        throw ShapeError(
            where, str("expected images like the originals, f32(N,H,W,C), got ", images, " and ", originals));
}

template <class T>
std::span<T> image_of(std::span<T> all, const Tensor& images, int64_t i) {
    auto size = all.size() / static_cast<std::size_t>(std::max<int64_t>(images.size(0), 1));
    return all.subspan(static_cast<std::size_t>(i) * size, size);
}

float level(int value) {
    return static_cast<float>(value) / 255;
}

int nearest_level(float value) {
    return static_cast<int>(math::rint(std::clamp(value, 0.0f, 1.0f) * 255));
}

// One level nearer to the original, which is no level of its own; never past it.
int towards(int value, float original) {
    if (level(value) > original) return value - 1;
    return level(value) < original ? value + 1 : value;
}

// Takes back what rounding moved away from the original until |rounded - original| <= epsilon.
void shrink_to_l2_ball(std::span<const float> from, std::span<const float> original, double epsilon,
                       std::span<uint8_t> to) {
    struct Move {
        double overshoot;
        std::size_t place;
    };
    auto square = [&](std::size_t k, int value) {
        const double d = static_cast<double>(level(value)) - original[k];
        return d * d;
    };
    double sum = 0;
    std::vector<Move> moves;
    for (std::size_t k = 0; k < to.size(); ++k) {
        sum += square(k, to[k]);
        const double overshoot = std::abs(static_cast<double>(level(to[k])) - original[k]) -
                                 std::abs(static_cast<double>(from[k]) - original[k]);
        if (overshoot > 0) moves.push_back({overshoot, k});
    }
    const double limit = (epsilon + kBoundTolerance / 2) * (epsilon + kBoundTolerance / 2);
    if (sum <= limit) return;
    std::sort(moves.begin(), moves.end(), [](const Move& a, const Move& b) {
        return a.overshoot != b.overshoot ? a.overshoot > b.overshoot : a.place < b.place;
    });
    for (const Move& move : moves) {
        const std::size_t k = move.place;
        const int back = towards(to[k], original[k]);
        if (square(k, back) >= square(k, to[k])) continue;  // between two levels, and this is the nearer
        sum += square(k, back) - square(k, to[k]);
        to[k] = static_cast<uint8_t>(back);
        if (sum <= limit) return;
    }
}

}  // namespace

Tensor round_to_8_bits(const Tensor& adversarial, const Tensor& original, const Threat& threat) {
    require_alike("round to 8 bits", adversarial, original);
    Tensor result(Spec{adversarial.shape(), Dtype::u8, kCpu});
    std::span<const float> from = adversarial.data<float>(), centre = original.data<float>();
    std::span<uint8_t> to = result.mutable_data<uint8_t>();
    const bool bounded = threat.kind != Threat::Kind::noise;
    const bool by_value = bounded && !(threat.kind == Threat::Kind::ball && threat.norm == Norm::l2);
    for (std::size_t k = 0; k < to.size(); ++k) {
        int value = std::isfinite(from[k]) ? nearest_level(from[k]) : nearest_level(centre[k]);
        auto away = [&](int v) { return std::abs(static_cast<double>(level(v)) - centre[k]); };
        if (by_value && away(value) > threat.epsilon + kBoundTolerance) {
            const int back = towards(value, centre[k]);
            if (away(back) < away(value)) value = back;
        }
        to[k] = static_cast<uint8_t>(value);
    }
    if (bounded && !by_value)
        for (int64_t i = 0; i < adversarial.size(0); ++i)
            shrink_to_l2_ball(image_of(from, adversarial, i), image_of(centre, adversarial, i),
                              threat.epsilon, image_of(to, adversarial, i));
    return result;
}

Tensor from_8_bits(const Tensor& images, Device device) {
    if (!(device == kCpu)) {
        PauseTapes pause;
        return cast(images.to(device), Dtype::f32) / 255.0;
    }
    Tensor result(Spec{images.shape(), Dtype::f32, kCpu});
    std::span<const uint8_t> from = images.data<uint8_t>();
    std::span<float> to = result.mutable_data<float>();
    std::transform(from.begin(), from.end(), to.begin(), [](uint8_t value) { return level(value); });
    return result;
}

Distance distance_of(const Tensor& images, const Tensor& originals, int64_t i, const Threat& threat) {
    require_alike("distance", images, originals);
    std::span<const float> x = image_of(images.data<float>(), images, i);
    std::span<const float> x0 = image_of(originals.data<float>(), originals, i);
    Distance result;
    double sum = 0;
    for (std::size_t k = 0; k < x.size(); ++k) {
        if (!std::isfinite(x[k])) {
            const double infinity = std::numeric_limits<double>::infinity();
            return {.linf = infinity, .l2 = infinity, .excess = infinity};
        }
        const double d = std::abs(static_cast<double>(x[k]) - x0[k]);
        result.linf = std::max(result.linf, d);
        sum = std::fma(d, d, sum);
        result.excess = std::max({result.excess, static_cast<double>(x[k]) - 1, -static_cast<double>(x[k])});
    }
    result.l2 = math::sqrt(sum);
    if (threat.kind != Threat::Kind::noise) {
        const bool l2 = threat.kind == Threat::Kind::ball && threat.norm == Norm::l2;
        result.excess = std::max(result.excess, (l2 ? result.l2 : result.linf) - threat.epsilon);
    }
    return result;
}

}  // namespace microtome
