// tensor/math.hpp against the C library's long double, at every scale, and at the special values.
#include "tensor/math.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

using namespace microtome;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
const double kNan = std::numeric_limits<double>::quiet_NaN();

// The error of y, in units in the last place that type T has at the exact result.
template <class T>
double error_in_ulp(T y, long double exact) {
    using limits = std::numeric_limits<T>;
    if (std::isnan(exact)) return std::isnan(y) ? 0 : kInfinity;
    if (y == static_cast<T>(exact)) return static_cast<double>(std::isinf(y) ? 0.0L : 0.5L);
    int exponent = std::max(exact == 0 ? limits::min_exponent : std::ilogb(exact) + 1, limits::min_exponent);
    long double ulp = std::ldexp(1.0L, exponent - limits::digits);
    if (std::isinf(y)) y = static_cast<T>(y > 0 ? limits::max() : -limits::max());
    return static_cast<double>(std::fabs(static_cast<long double>(y) - exact) / ulp);
}

// Numbers over the whole range of T between the bounds: even steps through their bit patterns, which are even
// steps of relative size, and uniform random ones.
template <class T>
std::vector<T> samples(double low, double high) {
    using Bits = typename math::Format<T>::Bits;
    std::vector<T> xs;
    std::mt19937_64 random(7);
    constexpr int steps = 60000;
    for (double side : {low, high}) {
        if (side == 0) continue;
        Bits last = math::to_bits(static_cast<T>(std::fabs(side)));
        for (int i = 0; i < steps; ++i) {
            T x = math::from_bits<T>(
                static_cast<Bits>(last / steps * static_cast<Bits>(i) + random() % (last / steps)));
            x = std::copysign(x, static_cast<T>(side));
            if (x >= low && x <= high) xs.push_back(x);
        }
    }
    for (int i = 0; i < 2 * steps; ++i)
        xs.push_back(static_cast<T>(low + (high - low) * static_cast<double>(random() >> 11) * 0x1p-53));
    return xs;
}

template <class T, class Ours, class Exact>
double worst_ulp(const char* name, double low, double high, Ours ours, Exact exact) {
    double worst = 0;
    T where = 0;
    for (T x : samples<T>(low, high)) {
        double error = error_in_ulp<T>(ours(x), exact(static_cast<long double>(x)));
        if (!(error <= worst)) worst = error, where = x;
    }
    INFO(name << " is off by " << worst << " ulp at " << where);
    CHECK(worst > 0.4);  // a perfect score would mean that nothing was compared
    return worst;
}

// The promise of tensor/math.hpp, and some room for other samples.
struct Promise {
    double exp, log, log1p, erf, tanh, sigmoid, pow, sin;
};

template <class T>
void check_accuracy(double range, Promise promise) {
    using L = long double;
    auto check = [&](const char* name, double promised, double low, double high, auto ours, auto exact) {
        CHECK(worst_ulp<T>(name, low, high, ours, exact) <= promised);
    };
    auto log = [](T x) { return math::log(x); };
    auto exact_log = [](L x) { return std::log(x); };
    auto sigmoid = [](T x) { return math::sigmoid(x); };
    auto exact_sigmoid = [](L x) { return 1 / (1 + std::exp(-x)); };
    check(
        "exp", promise.exp, -1.05 * range, range, [](T x) { return math::exp(x); },
        [](L x) { return std::exp(x); });
    check("log", promise.log, 0, std::numeric_limits<T>::max(), log, exact_log);
    check("log", promise.log, 0.5, 2, log, exact_log);
    check(
        "log1p", promise.log1p, -0.9999, 4, [](T x) { return math::log1p(x); },
        [](L x) { return std::log1p(x); });
    check(
        "erf", promise.erf, -7, 7, [](T x) { return math::erf(x); }, [](L x) { return std::erf(x); });
    check(
        "tanh", promise.tanh, -20, 20, [](T x) { return math::tanh(x); }, [](L x) { return std::tanh(x); });
    check("sigmoid", promise.sigmoid, -range, range, sigmoid, exact_sigmoid);
    check("sigmoid", promise.sigmoid, -8, 8, sigmoid, exact_sigmoid);
    check(
        "sin", promise.sin, -0x1p20, 0x1p20, [](T x) { return math::sin(x); },
        [](L x) { return std::sin(x); });
    check(
        "cos", promise.sin, -0x1p20, 0x1p20, [](T x) { return math::cos(x); },
        [](L x) { return std::cos(x); });
    for (T y : {T(2), T(0.5), T(-1), T(1) / 3, T(3.7), T(-12.3), T(100)})
        check(
            "pow", promise.pow, 0.01, 100, [y](T x) { return math::pow(x, y); },
            [y](L x) { return std::pow(x, static_cast<L>(y)); });
    check(
        "pow", promise.pow, -range, range, [](T y) { return math::pow(T(2.7), y); },
        [](L y) { return std::pow(static_cast<L>(T(2.7)), y); });
}

template <class T>
bool same(T a, double b) {
    T expected = static_cast<T>(b);
    return std::isnan(expected) ? std::isnan(a) : a == expected && std::signbit(a) == std::signbit(expected);
}

}  // namespace

TEST_CASE("functions keep their promised accuracy", "[math]") {
    check_accuracy<float>(100, {0.9, 0.8, 1.5, 1.1, 1.3, 1.4, 0.6, 0.6});
    check_accuracy<double>(740, {0.9, 0.8, 1.5, 1.0, 1.3, 1.4, 1.4, 1.6});
}

TEMPLATE_TEST_CASE("functions of special values follow Annex F", "[math]", float, double) {
    using T = TestType;
    auto at = [](double x) { return static_cast<T>(x); };
    for (double zero : {0.0, -0.0}) {
        CHECK(same(math::log1p(at(zero)), zero));
        CHECK(same(math::erf(at(zero)), zero));
        CHECK(same(math::tanh(at(zero)), zero));
        CHECK(same(math::sin(at(zero)), zero));
        CHECK(same(math::exp(at(zero)), 1));
        CHECK(same(math::cos(at(zero)), 1));
        CHECK(same(math::sigmoid(at(zero)), 0.5));
        CHECK(same(math::log(at(zero)), -kInfinity));
    }
    CHECK(same(math::exp(at(kInfinity)), kInfinity));
    CHECK(same(math::exp(at(-kInfinity)), 0));
    CHECK(same(math::log(at(kInfinity)), kInfinity));
    CHECK(same(math::log(at(-1)), kNan));
    CHECK(same(math::log(at(1)), 0));
    CHECK(same(math::log1p(at(-1)), -kInfinity));
    CHECK(same(math::log1p(at(kInfinity)), kInfinity));
    CHECK(same(math::log1p(at(-2)), kNan));
    for (double sign : {1.0, -1.0}) {
        CHECK(same(math::erf(at(sign * kInfinity)), sign));
        CHECK(same(math::tanh(at(sign * kInfinity)), sign));
        CHECK(same(math::sin(at(sign * kInfinity)), kNan));
        CHECK(same(math::cos(at(sign * 0x1p21)), kNan));
    }
    CHECK(same(math::sigmoid(at(kInfinity)), 1));
    CHECK(same(math::sigmoid(at(-kInfinity)), 0));
    CHECK(same(math::exp(at(kNan)), kNan));
    CHECK(same(math::log(at(kNan)), kNan));
    CHECK(same(math::log1p(at(kNan)), kNan));
    CHECK(same(math::erf(at(kNan)), kNan));
    CHECK(same(math::tanh(at(kNan)), kNan));
    CHECK(same(math::sigmoid(at(kNan)), kNan));
    CHECK(same(math::sin(at(kNan)), kNan));
    // the smallest and largest numbers
    T tiny = std::numeric_limits<T>::denorm_min();
    CHECK(math::log(tiny) == static_cast<T>(std::log(static_cast<long double>(tiny))));
    CHECK(math::erf(tiny) == tiny);
    CHECK(math::tanh(-tiny) == -tiny);
    CHECK(math::log1p(tiny) == tiny);
}

TEMPLATE_TEST_CASE("powers of special values follow Annex F", "[math]", float, double) {
    using T = TestType;
    std::vector<double> values = {0.0, -0.0, 0.5, -0.5, 1,    -1,        2,          -2,
                                  3,   -3,   2.5, -2.5, 1e30, kInfinity, -kInfinity, kNan};
    for (double x : values)
        for (double y : values) {
            T exact = std::pow(static_cast<T>(x), static_cast<T>(y));
            T ours = math::pow(static_cast<T>(x), static_cast<T>(y));
            CAPTURE(x, y, ours, exact);
            if (std::isfinite(exact) && exact != 0)
                CHECK(error_in_ulp(ours, static_cast<long double>(exact)) <= 1);
            else
                CHECK(same(ours, static_cast<double>(exact)));
        }
}
