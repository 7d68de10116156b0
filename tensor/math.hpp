// Scalar mathematics with the same bits on every machine: exp, log, log1p, erf, tanh, sigmoid, pow, sin, cos.
//
// A C library's exp differs from another's in the last bit, and a last bit is enough to turn one adversarial
// image into another. So these are our own: argument reduction and a polynomial, built from IEEE operations,
// explicit fused multiply-adds and shuffling of bits, without branches, so that compilers vectorise a loop
// over them. The polynomials are minimax fits (Remez exchange in 45 digits) over the interval each comment
// names.
//
// Promised: infinities, zeros (with sign), subnormals and NaN give what C99 Annex F says, but a NaN has no
// promised payload. Errors, in units in the last place, as measured by tests/tensor/math_test.cpp:
//
//                exp   log   log1p   erf   tanh   sigmoid   pow   sin, cos
//     float      0.9   0.8    1.5    1.1   1.3      1.4     0.6     0.6
//     double     0.9   0.8    1.5    1.0   1.3      1.4     1.4     1.6
//
// Generic code names these without a namespace (`using math::exp; ... exp(x)`), so that other scalars, dual
// numbers for one, bring their own overloads. Included by kernels compiled per instruction set and by CUDA:
// no standard header here that defines a function.
#pragma once

#include "tensor/dual.hpp"

#include <cstdint>

namespace microtome::math {

// clang-format off
#if defined(__CUDA_ARCH__)
MICROTOME_HD float  fma(float a, float b, float c) { return ::__fmaf_rn(a, b, c); }
MICROTOME_HD double fma(double a, double b, double c) { return ::__fma_rn(a, b, c); }
MICROTOME_HD float  sqrt(float x)  { return ::__fsqrt_rn(x); }
MICROTOME_HD double sqrt(double x) { return ::__dsqrt_rn(x); }
MICROTOME_HD float  floor(float x)  { return ::floorf(x); }
MICROTOME_HD double floor(double x) { return ::floor(x); }
MICROTOME_HD float  rint(float x)  { return ::rintf(x); }
MICROTOME_HD double rint(double x) { return ::rint(x); }
#else
MICROTOME_HD float  fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
MICROTOME_HD double fma(double a, double b, double c) { return __builtin_fma(a, b, c); }
MICROTOME_HD float  sqrt(float x)  { return __builtin_sqrtf(x); }
MICROTOME_HD double sqrt(double x) { return __builtin_sqrt(x); }
MICROTOME_HD float  floor(float x)  { return __builtin_floorf(x); }
MICROTOME_HD double floor(double x) { return __builtin_floor(x); }
MICROTOME_HD float  rint(float x)  { return __builtin_rintf(x); }  // to nearest, ties to even
MICROTOME_HD double rint(double x) { return __builtin_rint(x); }
#endif
// clang-format on

// What the formulas below must know of a type.
template <class T>
struct Format;
template <>
struct Format<float> {
    using Bits = uint32_t;
    static constexpr int significand = 23;  // stored bits of it
    static constexpr Bits sign = 0x80000000u;
    static constexpr float bias = 127;
    static constexpr float integer = 0x1p23f;  // from here on there are no fractions, and
    static constexpr float round = 0x1.8p23f;  // adding this leaves an integer in the low bits
    static constexpr float smallest_normal = 0x1p-126f;
    static constexpr float log2_e = 0x1.715476p+0f;
    static constexpr float ln2_high = 0x1.62e4p-1f;  // ln 2 in two parts; k * ln2_high is exact
    static constexpr float ln2_low = 0x1.7f7d1cp-20f;
    static constexpr float exp_lowest = -104, exp_highest = 89;  // beyond: 0, infinity
    static constexpr float erf_split = 0.9f, erf_saturated = 3.95f;
};
template <>
struct Format<double> {
    using Bits = uint64_t;
    static constexpr int significand = 52;
    static constexpr Bits sign = 0x8000000000000000u;
    static constexpr double bias = 1023;
    static constexpr double integer = 0x1p52;
    static constexpr double round = 0x1.8p52;
    static constexpr double smallest_normal = 0x1p-1022;
    static constexpr double log2_e = 0x1.71547652b82fep+0;
    static constexpr double ln2_high = 0x1.62e42fefa38p-1;
    static constexpr double ln2_low = 0x1.ef35793c7673p-45;
    static constexpr double exp_lowest = -746, exp_highest = 710;
    static constexpr double erf_split = 1.0, erf_saturated = 5.95;
};

template <class T>
MICROTOME_HD typename Format<T>::Bits to_bits(T x) {
    return __builtin_bit_cast(typename Format<T>::Bits, x);
}
template <class T>
MICROTOME_HD T from_bits(typename Format<T>::Bits bits) {
    return __builtin_bit_cast(T, bits);
}
template <class T>
MICROTOME_HD T infinity() {
    return static_cast<T>(__builtin_huge_valf());
}
template <class T>
MICROTOME_HD T not_a_number() {
    return static_cast<T>(__builtin_nanf(""));
}

template <class T>
MICROTOME_HD T absolute_value(T x) {
    return from_bits<T>(to_bits(x) & ~Format<T>::sign);
}
MICROTOME_HD float abs(float x) {
    return absolute_value(x);
}
MICROTOME_HD double abs(double x) {
    return absolute_value(x);
}
template <class T>
MICROTOME_HD T copysign(T magnitude, T sign) {
    return from_bits<T>((to_bits(magnitude) & ~Format<T>::sign) | (to_bits(sign) & Format<T>::sign));
}

// c0 + c1 x + c2 x^2 + ..., by Horner's rule.
template <class T>
MICROTOME_HD T polynomial(T, T c) {
    return c;
}
template <class T, class... Rest>
MICROTOME_HD T polynomial(T x, T c, Rest... rest) {
    return fma(x, polynomial(x, rest...), c);
}

// The nearest integer, ties to even, for |x| < integer / 2.
template <class T>
MICROTOME_HD T nearest(T x) {
    return (x + Format<T>::round) - Format<T>::round;
}

// 2^n for an integer n whose power is a normal number.
template <class T>
MICROTOME_HD T power_of_two(T n) {
    return from_bits<T>(to_bits(n + (Format<T>::round + Format<T>::bias)) << Format<T>::significand);
}

// --- exp

// (e^r - 1 - r) / r^2 for |r| <= ln(2) / 2.
MICROTOME_HD float exp_polynomial(float r) {
    return polynomial(r, 4.9999994e-01f, 1.6666521e-01f, 4.166839e-02f, 8.368745e-03f, 1.3814621e-03f);
}
MICROTOME_HD double exp_polynomial(double r) {
    return polynomial(r, 0.5000000000000011, 0.1666666666666641, 0.041666666666529725, 0.008333333333494987,
                      0.001388888894376021, 0.00019841269505750853, 2.4801492949463016e-05,
                      2.7557586826456074e-06, 2.7630306292627637e-07, 2.500001120812371e-08);
}

// e^x = 2^n e^r with r = x - n ln 2. The power comes in two factors, so that results may be subnormal.
template <class T>
MICROTOME_HD T exp_formula(T x) {
    using F = Format<T>;
    x = x < F::exp_lowest ? F::exp_lowest : x;
    x = x > F::exp_highest ? F::exp_highest : x;
    T n = nearest(x * F::log2_e);
    T exact = fma(n, -F::ln2_high, x);
    T r = fma(n, -F::ln2_low, exact);
    T lost = fma(n, -F::ln2_low, exact - r);  // by rounding r
    T p = T(1) + (r + fma(r * r, exp_polynomial(r), lost));
    T half = nearest(n * T(0.5));
    return p * power_of_two(half) * power_of_two(n - half);
}
MICROTOME_HD float exp(float x) {
    return exp_formula(x);
}
MICROTOME_HD double exp(double x) {
    return exp_formula(x);
}

// --- log

// (log((1 + s) / (1 - s)) / s - 2) / z with z = s^2, for sqrt(1/2) <= (1 + s) / (1 - s) <= sqrt(2).
MICROTOME_HD float log_polynomial(float z) {
    return polynomial(z, 6.666666e-01f, 4.0000334e-01f, 2.8537303e-01f, 2.3582269e-01f);
}
MICROTOME_HD double log_polynomial(double z) {
    return polynomial(z, 0.6666666666666734, 0.3999999999941432, 0.2857142874247574, 0.22222198563362894,
                      0.18183564873559646, 0.15314035654664684, 0.14796107279774906);
}

// x = 2^k (1 + f) with 1 + f between sqrt(1/2) and sqrt(2), for finite x > 0.
template <class T>
struct Reduced {
    T k, f;
};
template <class T>
MICROTOME_HD Reduced<T> reduce_for_log(T x) {
    using F = Format<T>;
    typename F::Bits root_half = to_bits(T(0.70710678118654752));
    bool small = x < F::smallest_normal;
    T scaled = x * (small ? T(0x1p54) : T(1));
    auto shifted = to_bits(scaled) + (to_bits(T(1)) - root_half);
    T k = from_bits<T>((shifted >> F::significand) | to_bits(F::integer)) - (F::integer + F::bias);
    auto significand = shifted & ((typename F::Bits{1} << F::significand) - 1);
    return {k - (small ? T(54) : T(0)), from_bits<T>(significand + root_half) - T(1)};
}

// log(1 + f) = f - f^2/2 + s (f^2/2 + z P(z)) with s = f / (2 + f) and z = s^2: f itself is exact.
template <class T>
MICROTOME_HD T log_formula(T x) {
    using F = Format<T>;
    Reduced<T> reduced = reduce_for_log(x);
    T k = reduced.k, f = reduced.f;
    T s = f / (T(2) + f);
    T z = s * s;
    T half_square = T(0.5) * f * f;
    T tail = fma(s, fma(z, log_polynomial(z), half_square), k * F::ln2_low);
    T y = fma(k, F::ln2_high, f - (half_square - tail));
    y = x == infinity<T>() ? x : y;
    return x > T(0) ? y : (x == T(0) ? -infinity<T>() : not_a_number<T>());
}
MICROTOME_HD float log(float x) {
    return log_formula(x);
}
MICROTOME_HD double log(double x) {
    return log_formula(x);
}

// log(1 + x): log of the rounded sum u, and what the rounding lost, divided by u, the derivative of log.
template <class T>
MICROTOME_HD T log1p_formula(T x) {
    T u = T(1) + x;
    T lost = x - (u - T(1));
    T y = log_formula(u) + (u > T(0) && u < infinity<T>() ? lost / u : T(0));
    return u == T(1) ? x : y;
}
MICROTOME_HD float log1p(float x) {
    return log1p_formula(x);
}
MICROTOME_HD double log1p(double x) {
    return log1p_formula(x);
}

// --- erf

// erf(x) / x - 1 with z = x^2, up to x = erf_split.
MICROTOME_HD float erf_polynomial(float z) {
    return polynomial(z, 1.2837915e-01f, -3.7612534e-01f, 1.128223e-01f, -2.6781958e-02f, 5.0162286e-03f,
                      -6.1112945e-04f);
}
MICROTOME_HD double erf_polynomial(double z) {
    return polynomial(z, 0.1283791670955126, -0.3761263890318375, 0.11283791670954885, -0.02686617064507787,
                      0.005223977624828394, -0.0008548326981423858, 0.0001205533113290754,
                      -1.4925595771308064e-05, 1.646100846796314e-06, -1.635039615814245e-07,
                      1.4660328525181357e-08, -1.1374955789778035e-09, 5.960686654847134e-11);
}
// -log(1 - erf(x)) with t = x - erf_split, up to x = erf_saturated, where erf rounds to 1.
MICROTOME_HD float erf_exponent(float t) {
    return polynomial(t, 1.5940973e+00f, 2.4716341e+00f, 8.3001584e-01f, 4.578468e-02f, -1.10881e-02f,
                      2.181763e-03f, -3.0057324e-04f, 2.0909642e-05f);
}
MICROTOME_HD double erf_exponent(double t) {
    return polynomial(
        t, 1.8496055099332482, 2.638967514234791, 0.8431072563585149, 0.04156109804576129,
        -0.010033825424137041, 0.001977902940478933, -0.0002373242930454264, -2.6271830199114945e-05,
        2.714473694404706e-05, -9.583895541962301e-06, 2.027400927523006e-06, -1.1135558011289952e-07,
        -1.2073260817415305e-07, 6.48992510435518e-08, -2.024481919608428e-08, 4.48781226369662e-09,
        -7.197614146373542e-10, 7.99312106543537e-11, -5.5074016622451786e-12, 1.7716257109590382e-13);
}

template <class T>
MICROTOME_HD T erf_formula(T x) {
    using F = Format<T>;
    T a = absolute_value(x);
    T near = fma(x, erf_polynomial(x * x), x);
    T clamped = a > F::erf_saturated ? F::erf_saturated : a;
    T far = copysign(T(1) - exp_formula(-erf_exponent(clamped - F::erf_split)), x);
    return a < F::erf_split ? near : far;
}
MICROTOME_HD float erf(float x) {
    return erf_formula(x);
}
MICROTOME_HD double erf(double x) {
    return erf_formula(x);
}

// --- tanh and the logistic function

// (tanh(x) / x - 1) / z with z = x^2, for |x| <= 0.6.
MICROTOME_HD float tanh_polynomial(float z) {
    return polynomial(z, -3.33333e-01f, 1.3331959e-01f, -5.3786676e-02f, 2.080536e-02f, -5.905841e-03f);
}
MICROTOME_HD double tanh_polynomial(double z) {
    return polynomial(z, -0.3333333333333313, 0.13333333333300895, -0.053968253949872064, 0.02186948801589571,
                      -0.008863226954655126, 0.003592038835729227, -0.0014552230139342134,
                      0.0005872141446058221, -0.00023045046568115278, 7.937706322374127e-05,
                      -1.721074856623999e-05);
}

template <class T>
MICROTOME_HD T tanh_formula(T x) {
    T a = absolute_value(x);
    T z = x * x;
    T near = fma(x * z, tanh_polynomial(z), x);
    T far = T(1) - T(2) / (exp_formula(a + a) + T(1));
    return copysign(a < T(0.6) ? near : far, x);
}
MICROTOME_HD float tanh(float x) {
    return tanh_formula(x);
}
MICROTOME_HD double tanh(double x) {
    return tanh_formula(x);
}

// 1 / (1 + e^-x), from e = e^-|x|, which cannot overflow. The quotient is corrected once for its own rounding
// and for that of 1 + e.
template <class T>
MICROTOME_HD T sigmoid_formula(T x) {
    T e = exp_formula(-absolute_value(x));
    T numerator = x < T(0) ? e : T(1);
    T denominator = T(1) + e;
    T lost = e - (denominator - T(1));
    T reciprocal = T(1) / denominator;
    T y = numerator * reciprocal;
    return fma(fma(-y, lost, fma(-y, denominator, numerator)), reciprocal, y);
}
MICROTOME_HD float sigmoid(float x) {
    return sigmoid_formula(x);
}
MICROTOME_HD double sigmoid(double x) {
    return sigmoid_formula(x);
}

// --- pow

// (log((1 + s) / (1 - s)) / s - 2 - 2/3 z) / z^2 with z = s^2, over the range of log_polynomial.
MICROTOME_HD double pow_polynomial(double z) {
    return polynomial(z, 0.40000000000002256, 0.28571428570099305, 0.22222222519969356, 0.18181784363168,
                      0.15386757508858742, 0.13256813704714265, 0.131963654524727);
}

// x^y for x > 0, finite: e^(y log x), where log x is carried as a sum of two doubles, good to 2^-63 or so.
MICROTOME_HD double pow_of_positive(double x, double y) {
    using F = Format<double>;
    Reduced<double> reduced = reduce_for_log(x);
    double k = reduced.k, f = reduced.f;
    // s = f / (2 + f), s^2 and the leading terms 2 s + 2/3 s^3 as sums high + low
    double denominator = 2.0 + f;
    double denominator_low = f - (denominator - 2.0);
    double s = f / denominator;
    double s_low = fma(-s, denominator_low, fma(-s, denominator, f)) / denominator;
    double z = s * s;
    double z_low = fma(2.0 * s, s_low, fma(s, s, -z));
    double two_thirds = 0x1.5555555555555p-1, two_thirds_low = 0x1.5555555555555p-55;
    double c = z * two_thirds;
    double c_low = fma(z, two_thirds_low, fma(z_low, two_thirds, fma(z, two_thirds, -c)));
    double cubic = s * c;
    double cubic_low = fma(s_low, c, fma(s, c_low, fma(s, c, -cubic)));
    double rest = s * (z * z) * pow_polynomial(z);
    // k ln 2 + 2 s + cubic + rest, largest first; each sum keeps what its rounding loses
    double a = k * F::ln2_high;
    double sum = a + 2.0 * s;
    double lost = k == 0.0 ? 0.0 : 2.0 * s - (sum - a);
    double small = cubic + rest;
    double high = sum + small;
    double low = fma(2.0, s_low, fma(k, F::ln2_low, small - (high - sum))) + lost;
    low += (rest - (small - cubic)) + cubic_low;
    double product = y * high;
    double product_low = fma(y, low, fma(y, high, -product));
    double power = exp_formula(product);
    double corrected = fma(power, product_low, power);
    bool inside = (power > 0.0) & (power < infinity<double>());
    return inside ? corrected : power;
}

MICROTOME_HD double pow(double x, double y) {
    double a = absolute_value(x), magnitude_of_y = absolute_value(y);
    double big = infinity<double>();
    double power = pow_of_positive(a, y);
    // 0, infinity and 1 to any power; any number to the power of an infinity
    bool extreme = (a == 0.0) | (a == big);
    double toward = extreme ? (a == 0.0 ? -y : y) : (a - 1.0) * y;
    double limit = toward > 0.0 ? big : (toward < 0.0 ? 0.0 : 1.0);
    bool limiting = extreme | (magnitude_of_y == big);
    power = limiting ? limit : power;
    bool integer = floor(y) == y;
    bool odd = integer & (floor(y * 0.5) * 2.0 != y);  // from 2^53 on all are even
    power = odd ? copysign(power, x) : power;
    bool real = (integer | !(x < 0.0) | (x == -big)) & (x == x) & (y == y);
    power = real ? power : not_a_number<double>();
    bool always_one = (x == 1.0) | (y == 0.0);
    return always_one ? 1.0 : power;
}
// In double: rounding the result is all the error there is.
MICROTOME_HD float pow(float x, float y) {
    return static_cast<float>(pow(static_cast<double>(x), static_cast<double>(y)));
}

// --- sin and cos

// sin(x + quarter * pi/2). Beyond |x| = 2^20 reduction would lose the promised accuracy: the result is NaN.
MICROTOME_HD double sin_of_quarters(double x, uint64_t quarter) {
    double shifted = fma(x, 0x1.45f306dc9c883p-1, Format<double>::round);
    double n = shifted - Format<double>::round;
    double r = fma(n, -0x1.921fb54442d18p+0, x);  // pi/2 in three parts
    r = fma(n, -0x1.1a62633145c06p-54, r);
    r = fma(n, -0x1.c1cd129024e08p-107, r);
    double z = r * r;
    double sine = fma(r * z,
                      polynomial(z, -0.16666666666666632, 0.008333333333322316, -0.00019841269829725346,
                                 2.7557313662094935e-06, -2.5050753269279795e-08, 1.5896505178497513e-10),
                      r);
    double cosine = fma(z * z,
                        polynomial(z, 0.0416666666666666, -0.001388888888887399, 2.480158728939495e-05,
                                   -2.755731432602047e-07, 2.0875719555529986e-09, -1.1359448444202524e-11),
                        fma(z, -0.5, 1.0));
    uint64_t q = to_bits(shifted) + quarter;
    double y = (q & 1) != 0 ? cosine : sine;
    y = from_bits<double>(to_bits(y) ^ ((q & 2) << 62));
    return absolute_value(x) <= 0x1p20 ? y : not_a_number<double>();
}
MICROTOME_HD double sin(double x) {
    return x == 0.0 ? x : sin_of_quarters(x, 0);
}
MICROTOME_HD double cos(double x) {
    return sin_of_quarters(x, 1);
}
MICROTOME_HD float sin(float x) {
    return static_cast<float>(sin(static_cast<double>(x)));
}
MICROTOME_HD float cos(float x) {
    return static_cast<float>(cos(static_cast<double>(x)));
}

}  // namespace microtome::math
