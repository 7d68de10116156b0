#include "autograd/samples.hpp"

namespace microtome {
namespace {

// SplitMix64 (Steele, Lea, Flood 2014): small, and enough for test inputs.
class SmallRandom {
  public:
    explicit SmallRandom(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 0x632be59bd9b4e019u) {}
    uint64_t next() {
        uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
    }
    double unit() { return static_cast<double>(next() >> 11) * 0x1p-53; }

  private:
    uint64_t state_;
};

template <class Draw>
Tensor filled(const Shape& shape, Draw&& draw) {
    Tensor result(Spec{shape, Dtype::f64, kCpu});
    for (double& x : result.mutable_data<double>()) x = draw();
    return result;
}

}  // namespace

Tensor uniform(const Shape& shape, double low, double high, uint64_t seed) {
    SmallRandom random(seed);
    return filled(shape, [&] { return low + (high - low) * random.unit(); });
}

Tensor away_from_zero(const Shape& shape, double smallest, double largest, uint64_t seed) {
    SmallRandom random(seed);
    return filled(shape, [&] {
        double size = smallest + (largest - smallest) * random.unit();
        return random.next() & 1 ? size : -size;
    });
}

Tensor distinct(const Shape& shape, uint64_t seed) {
    SmallRandom random(seed);
    int64_t n = shape.elements();
    Tensor result(Spec{shape, Dtype::f64, kCpu});
    auto x = result.mutable_data<double>();
    // 0.0137 off centre, so that no element is exactly 0.
    for (int64_t i = 0; i < n; ++i)
        x[i] = (2.0 * static_cast<double>(i) + 1) / static_cast<double>(n) - 1 + 0.0137;
    for (int64_t i = n - 1; i > 0; --i) std::swap(x[i], x[random.next() % static_cast<uint64_t>(i + 1)]);
    return result;
}

Tensor integers(const Shape& shape, int64_t below, uint64_t seed) {
    SmallRandom random(seed);
    Tensor result(Spec{shape, Dtype::i64, kCpu});
    for (int64_t& x : result.mutable_data<int64_t>())
        x = static_cast<int64_t>(random.next() % static_cast<uint64_t>(below));
    return result;
}

Tensor far_apart(bool negative) {
    if (!negative) return Tensor::of({1e-30, 3e-15, 0.7, 2e15, 1e30}, {5});
    return Tensor::of({1e-30, -1e-30, 3e-15, -2e15, 0.7, -0.7, 1e30, -1e30}, {8});
}

Tensor simplex(const Shape& shape, uint64_t seed) {
    Tensor result = uniform(shape, 0.1, 1, seed);
    auto x = result.mutable_data<double>();
    int64_t classes = shape[-1];
    for (int64_t row = 0; row < shape.elements() / std::max<int64_t>(classes, 1); ++row) {
        double total = 0;
        for (int64_t c = 0; c < classes; ++c) total += x[row * classes + c];
        for (int64_t c = 0; c < classes; ++c) x[row * classes + c] /= total;
    }
    return result;
}

}  // namespace microtome
