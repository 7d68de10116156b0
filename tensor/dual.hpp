// Dual numbers, value + tangent e with e^2 = 0 (Clifford 1873). A function run on x + u e gives f(x) + J u e:
// the exact derivative along u, with neither a step nor a tape (Wengert 1964). Tensors of them (Dtype::dual)
// run through the same ops and reference kernels as f64, take the same branches, and have the same bits in
// their values; the gradient checker's exact oracles stand on that.
//
// Comparisons look at the value alone. The functions of tensor/math.hpp are in tensor/dual_math.hpp.
#pragma once

#include <cstdint>

#if defined(__CUDACC__)
#define MICROTOME_HD __host__ __device__ __forceinline__
#else
#define MICROTOME_HD inline __attribute__((always_inline))
#endif

namespace microtome::math {

struct Dual {
    double value, tangent;

    Dual() = default;
    MICROTOME_HD constexpr Dual(double v, double t = 0) : value(v), tangent(t) {}  // a constant stands still
    MICROTOME_HD constexpr explicit operator double() const { return value; }
};

MICROTOME_HD constexpr Dual operator+(Dual a, Dual b) {
    return {a.value + b.value, a.tangent + b.tangent};
}
MICROTOME_HD constexpr Dual operator-(Dual a, Dual b) {
    return {a.value - b.value, a.tangent - b.tangent};
}
MICROTOME_HD constexpr Dual operator-(Dual a) {
    return {-a.value, -a.tangent};
}
MICROTOME_HD constexpr Dual operator*(Dual a, Dual b) {
    return {a.value * b.value, a.tangent * b.value + a.value * b.tangent};
}
MICROTOME_HD constexpr Dual operator/(Dual a, Dual b) {
    const double quotient = a.value / b.value;
    return {quotient, (a.tangent - quotient * b.tangent) / b.value};
}
MICROTOME_HD constexpr Dual& operator+=(Dual& a, Dual b) {
    return a = a + b;
}
MICROTOME_HD constexpr Dual& operator-=(Dual& a, Dual b) {
    return a = a - b;
}
MICROTOME_HD constexpr Dual& operator*=(Dual& a, Dual b) {
    return a = a * b;
}
MICROTOME_HD constexpr Dual& operator/=(Dual& a, Dual b) {
    return a = a / b;
}

MICROTOME_HD constexpr bool operator==(Dual a, Dual b) {
    return a.value == b.value;
}
MICROTOME_HD constexpr bool operator!=(Dual a, Dual b) {
    return a.value != b.value;
}
MICROTOME_HD constexpr bool operator<(Dual a, Dual b) {
    return a.value < b.value;
}
MICROTOME_HD constexpr bool operator<=(Dual a, Dual b) {
    return a.value <= b.value;
}
MICROTOME_HD constexpr bool operator>(Dual a, Dual b) {
    return a.value > b.value;
}
MICROTOME_HD constexpr bool operator>=(Dual a, Dual b) {
    return a.value >= b.value;
}

// What stands for a number's size: itself, and a dual number's value.
MICROTOME_HD constexpr float value_of(float x) {
    return x;
}
MICROTOME_HD constexpr double value_of(double x) {
    return x;
}
MICROTOME_HD constexpr double value_of(Dual x) {
    return x.value;
}

}  // namespace microtome::math

namespace microtome {
using math::Dual;
}
