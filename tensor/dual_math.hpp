// The functions of tensor/math.hpp on dual numbers, by their derivatives. Values have the bits that double
// has.
#pragma once

#include "tensor/dual.hpp"
#include "tensor/math.hpp"

namespace microtome::math {

MICROTOME_HD Dual fma(Dual a, Dual b, Dual c) {
    return {fma(a.value, b.value, c.value), fma(a.tangent, b.value, fma(a.value, b.tangent, c.tangent))};
}
MICROTOME_HD Dual sqrt(Dual x) {
    const double y = sqrt(x.value);
    return {y, x.tangent == 0 ? 0 : x.tangent / (2 * y)};  // infinite at 0, for what moves
}
MICROTOME_HD Dual floor(Dual x) {
    return floor(x.value);
}
MICROTOME_HD Dual rint(Dual x) {
    return rint(x.value);
}
MICROTOME_HD Dual abs(Dual x) {  // |x|' = sign(x), 0 at 0
    const double sign = x.value > 0 ? 1 : (x.value < 0 ? -1 : 0);
    return {abs(x.value), sign * x.tangent};
}
MICROTOME_HD Dual exp(Dual x) {
    const double y = exp(x.value);
    return {y, y * x.tangent};
}
MICROTOME_HD Dual log(Dual x) {
    return {log(x.value), x.tangent / x.value};
}
MICROTOME_HD Dual log1p(Dual x) {
    return {log1p(x.value), x.tangent / (1 + x.value)};
}
MICROTOME_HD Dual sin(Dual x) {
    return {sin(x.value), cos(x.value) * x.tangent};
}
MICROTOME_HD Dual cos(Dual x) {
    return {cos(x.value), -sin(x.value) * x.tangent};
}
MICROTOME_HD Dual erf(Dual x) {  // 2 / sqrt(pi) e^(-x^2)
    return {erf(x.value), 1.1283791670955126 * exp(-x.value * x.value) * x.tangent};
}
MICROTOME_HD Dual sigmoid(Dual x) {  // y (1 - y), without cancellation
    const double y = sigmoid(x.value);
    return {y, y * sigmoid(-x.value) * x.tangent};
}
MICROTOME_HD Dual tanh(Dual x) {  // 1 / cosh(x)^2 = 4 e^-2|x| / (1 + e^-2|x|)^2
    const double e = exp(-2 * abs(x.value)), d = 1 + e;
    return {tanh(x.value), 4 * e / (d * d) * x.tangent};
}
// b a^(b-1) a' + a^b log(a) b'. What stands still adds nothing, wherever the other derivative is infinite.
MICROTOME_HD Dual pow(Dual a, Dual b) {
    const double y = pow(a.value, b.value);
    double tangent = 0;
    if (a.tangent != 0 && b.value != 0) tangent += b.value * pow(a.value, b.value - 1) * a.tangent;
    if (b.tangent != 0 && a.value > 0 && y != 0) tangent += y * log(a.value) * b.tangent;
    return {y, tangent};
}

}  // namespace microtome::math
