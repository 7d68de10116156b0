#include "tensor/dual_math.hpp"
#include "tensor/kernels/elementwise.hpp"
#include "tensor/tensor.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <random>

using namespace microtome;

namespace {

// f on dual numbers beside f and its derivative on doubles: the same bits, and a few of the last place.
template <class Function, class Derivative>
void check(Function f, Derivative derivative, double low, double high) {
    std::mt19937_64 random(5);
    std::uniform_real_distribution<double> number(low, high);
    for (int trial = 0; trial < 200; ++trial) {
        const double x = number(random), u = number(random);
        const Dual y = f(Dual(x, u));
        REQUIRE(y.value == f(x));
        const double expected = derivative(x) * u;
        INFO("at " << x << ", " << y.tangent << " for " << expected);
        REQUIRE(std::abs(y.tangent - expected) <= 16 * 0x1p-52 * std::abs(expected));
        REQUIRE(f(Dual(x)).tangent == 0);
    }
}

}  // namespace

TEST_CASE("the functions of dual numbers have double's values and the textbook's derivatives", "[dual]") {
    auto square = [](double x) { return x * x; };
    check([](auto x) { return math::exp(x); }, [](double x) { return std::exp(x); }, -30, 30);
    check([](auto x) { return math::log(x); }, [](double x) { return 1 / x; }, 0.01, 30);
    check([](auto x) { return math::log1p(x); }, [](double x) { return 1 / (1 + x); }, -0.9, 30);
    check([](auto x) { return math::sqrt(x); }, [](double x) { return 0.5 / std::sqrt(x); }, 0.01, 30);
    check([](auto x) { return math::sin(x); }, [](double x) { return std::cos(x); }, -1.5, 1.5);
    check([](auto x) { return math::cos(x); }, [](double x) { return -std::sin(x); }, -3, 3);
    check([](auto x) { return math::abs(x); }, [](double x) { return x < 0 ? -1.0 : 1.0; }, -3, 3);
    check([=](auto x) { return math::tanh(x); }, [=](double x) { return 1 / square(std::cosh(x)); }, -20, 20);
    check([=](auto x) { return math::sigmoid(x); },
          [=](double x) { return 0.25 / square(std::cosh(0.5 * x)); }, -30, 30);
    check([=](auto x) { return math::erf(x); },
          [=](double x) { return 2 / std::sqrt(std::acos(-1)) * std::exp(-x * x); }, -3, 3);
    check([](auto x) { return math::floor(x) + math::rint(x); }, [](double) { return 0.0; }, -9, 9);
    check([](auto x) { return math::pow(x, decltype(x)(2.5)); },
          [](double x) { return 2.5 * std::pow(x, 1.5); }, 0.1, 9);
    check([](auto x) { return math::pow(decltype(x)(3), x); },
          [](double x) { return std::pow(3, x) * std::log(3); }, -9, 9);
    check([](auto x) { return decltype(x)(2) / x - x * x + x; },
          [](double x) { return -2 / (x * x) - 2 * x + 1; }, 0.5, 0.7);
    check([](auto x) { return math::fma(x, x, x); }, [](double x) { return 2 * x + 1; }, 0, 9);
}

TEST_CASE("dual numbers at the edges", "[dual]") {
    REQUIRE(math::abs(Dual(0, 3)).tangent == 0);
    REQUIRE(math::pow(Dual(0, 1), Dual(2)).tangent == 0);
    REQUIRE(math::pow(Dual(0, 1), Dual(1)).tangent == 1);
    REQUIRE(math::pow(Dual(-2, 1), Dual(3)).tangent == 12);  // no log(-2) comes into it
    REQUIRE(math::exp(Dual(-std::numeric_limits<double>::infinity(), 1)).tangent == 0);
    REQUIRE(math::tanh(Dual(800, 1)).tangent == 0);
    REQUIRE(Dual(1, 5) == Dual(1, 6));
    REQUIRE(Dual(1, 5) < Dual(2, -5));
}

TEST_CASE("tensors of dual numbers are converted and printed", "[dual]") {
    Tensor x(Spec{{2}, Dtype::dual, kCpu});
    x.mutable_data<Dual>()[0] = {1.5, 2};
    x.mutable_data<Dual>()[1] = {-3, 0.25};
    REQUIRE(str(x) == "dual(2) [1.5 + 2 e, -3 + 0.25 e]");
    REQUIRE(x.spec().bytes() == 32);

    Tensor values(Spec{{2}, Dtype::f64, kCpu});
    kernels::convert(x, values);
    REQUIRE(values.data<double>()[1] == -3);
    Tensor back(x.spec());
    kernels::convert(values, back);
    REQUIRE(back.data<Dual>()[1].value == -3);
    REQUIRE(back.data<Dual>()[1].tangent == 0);
    REQUIRE(Tensor::scalar(2.5, Dtype::dual).item() == 2.5);
    REQUIRE_THROWS_AS(x.data<double>(), DtypeError);
}
