// What tests of kernels share: inputs that include awkward values, and running one kernel on every
// instruction set with one to four threads.
#pragma once

#include "tensor/cpu/isa.hpp"
#include "tensor/kernels/context.hpp"
#include "tensor/tensor.hpp"

#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace microtome::testing {

template <class T>
Tensor random_tensor(const Shape& shape, uint64_t seed, double scale = 3) {
    std::mt19937_64 random(seed);
    std::vector<T> values(static_cast<std::size_t>(shape.elements()));
    for (T& value : values)
        value = static_cast<T>(scale * (static_cast<double>(random() >> 11) * 0x1p-52 - 1));
    return Tensor::of<T>(values, shape);
}

// Some elements replaced by infinities, zeros of both signs, a subnormal and, where wanted, NaN.
template <class T>
Tensor awkward_tensor(const Shape& shape, uint64_t seed, bool with_nan = true) {
    using limits = std::numeric_limits<T>;
    Tensor x = random_tensor<T>(shape, seed);
    const T odd[] = {limits::infinity(), -limits::infinity(), T(0), -T(0), limits::denorm_min(), T(0.5),
                     limits::max(),      limits::quiet_NaN()};
    auto values = x.mutable_data<T>();
    for (std::size_t i = 0; i < values.size(); i += 3) values[i] = odd[(i / 3 + seed) % (with_nan ? 8 : 7)];
    return x;
}

// The same bits, any NaN counting as any other: their payloads are not promised.
template <class T>
bool same_bits(const Tensor& a, const Tensor& b) {
    if (a.shape() != b.shape()) return false;
    auto x = a.data<T>(), y = b.data<T>();
    for (std::size_t i = 0; i < x.size(); ++i) {
        if (std::isnan(x[i]) && std::isnan(y[i])) continue;
        if (!(x[i] == y[i]) || std::signbit(x[i]) != std::signbit(y[i])) return false;
    }
    return true;
}

// body(context), on every instruction set this processor has and 1 to 4 threads.
template <class Body>
void everywhere(Body body) {
    for (cpu::Isa isa : {cpu::Isa::reference, cpu::Isa::avx2, cpu::Isa::avx512}) {
        if (!cpu::isa_available(isa)) continue;
        cpu::ForceIsa force(isa);
        for (int threads = 1; threads <= 4; ++threads) body(KernelContext{threads, {}});
    }
}

}  // namespace microtome::testing
