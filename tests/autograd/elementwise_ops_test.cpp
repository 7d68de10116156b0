#include "autograd/ops/comparison.hpp"
#include "autograd/ops/elementwise.hpp"
#include "autograd/tape.hpp"
#include "value_test_support.hpp"

using namespace microtome;
using namespace microtome::test;

TEST_CASE("functions of one element give the values of their formulas", "[elementwise_ops]") {
    struct Case {
        const char* name;
        Tensor (*op)(const Tensor&);
        double (*formula)(double);
        std::vector<double> at;
    };
    const std::vector<double> any{-30, -3, -1.5, -0.5, -1e-3, 0, 1e-3, 0.5, 1, 2.5, 7, 30};
    const std::vector<double> positive{1e-6, 0.25, 1, 2, 1e6};
    const std::vector<Case> cases{
        {"sqrt", sqrt, [](double x) { return std::sqrt(x); }, {0, 0.25, 2, 1e6, kInfinity, -1}},
        {"square", square, [](double x) { return x * x; }, any},
        {"reciprocal", reciprocal, [](double x) { return 1 / x; }, {-4, 0.5, kInfinity, 0}},
        {"sin", sin, [](double x) { return std::sin(x); }, any},
        {"cos", cos, [](double x) { return std::cos(x); }, any},
        {"abs", abs, [](double x) { return std::abs(x); }, {-2, -0.0, 0, 3, -kInfinity, kNan}},
        {"sign", sign, [](double x) { return x > 0   ? 1.0
                                             : x < 0 ? -1.0
                                                     : 0; }, {-2, -0.0, 0, 3, kInfinity}},
        {"floor", floor, [](double x) { return std::floor(x); }, {-2.5, -0.1, 0, 0.9, 3}},
        {"round", round, [](double x) { return std::nearbyint(x); }, {-2.5, -1.5, 0.5, 1.5, 2.5, 2.6}},
        {"erf", erf, [](double x) { return std::erf(x); }, any},
        {"tanh", tanh, [](double x) { return std::tanh(x); }, any},
        {"sigmoid", sigmoid, [](double x) { return 1 / (1 + std::exp(-x)); }, {-800, -2, 0, 3, 800}},
        {"softplus",
         softplus,
         [](double x) { return x > 50 ? x : std::log1p(std::exp(x)); },
         {-800, -2, 0, 3, 800}},
        {"relu6", relu6, [](double x) { return std::min(std::max(x, 0.0), 6.0); }, {-1, 0, 3, 6, 7}},
        {"gelu", gelu, [](double x) { return x * 0.5 * std::erfc(-x / std::sqrt(2.0)); }, any},
        {"gelu_tanh", gelu_tanh,
         [](double x) { return x * 0.5 * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))); },
         any},
    };
    for (const Case& c : cases) {
        CAPTURE(c.name);
        std::vector<double> expected;
        for (double x : c.at) expected.push_back(c.formula(x));
        require_close(c.op(tensor(c.at)), expected, 1e-14);
        // In f32 the formula is taken at the rounded argument.
        expected.clear();
        for (double x : c.at) expected.push_back(c.formula(static_cast<double>(static_cast<float>(x))));
        require_close(c.op(tensor(c.at, Dtype::f32)), expected, 1e-6);
    }
}

TEST_CASE("the derivatives of GELU", "[elementwise_ops]") {
    // Phi(1) + phi(1) = 0.8413447460685429 + 0.2419707245191434
    require_close(gelu_derivative(tensor({0, 1, -1})),
                  {0.5, 0.8413447460685429 + 0.2419707245191434, 0.1586552539314571 - 0.2419707245191434});
    require_close(gelu_tanh_derivative(tensor({0})), {0.5});
}

TEST_CASE("power is C's pow", "[elementwise_ops]") {
    require_close(power(tensor({2, 2, 9, 0, 0, -2, -2, 5}), tensor({3, -1, 0.5, 0, 2, 3, 0.5, 0})),
                  {8, 0.5, 3, 1, 0, -8, kNan, 1});
    require_close(power(tensor({1, 2, 3}), 2), {1, 4, 9});
}

TEST_CASE("minimum, maximum and clamp", "[elementwise_ops]") {
    const Tensor a = tensor({1, 2, kNan, 4}), b = tensor({2, 1, 1, kNan});
    require_equal(minimum(a, b), {1, 1, kNan, kNan});
    require_equal(maximum(a, b), {2, 2, kNan, kNan});
    const std::vector<double> expected{0, 0, 0.25, 1, 1, kNan};
    const Tensor x = tensor({-1, 0, 0.25, 1, 2, kNan});
    require_equal(clamp(x, 0, 1), expected);
    Tape tape;
    tape.watch(x);
    require_equal(clamp(x, 0, 1), expected);  // this one made a gate
    REQUIRE(kept_bytes(tape) == 1);
    REQUIRE_THROWS_WITH(clamp(x, 2, 1), Catch::Contains("[clamp] expected low <= high, got 2 and 1"));
}

TEST_CASE("comparisons and where", "[elementwise_ops]") {
    const Tensor a = tensor({1, 2, 3, kNan}), b = tensor({2, 2, 2, kNan});
    require_equal(less(a, b), {1, 0, 0, 0});
    require_equal(less_equal(a, b), {1, 1, 0, 0});
    require_equal(greater(a, b), {0, 0, 1, 0});
    require_equal(greater_equal(a, b), {0, 1, 1, 0});
    require_equal(equal(a, b), {0, 1, 0, 0});
    require_equal(not_equal(a, b), {1, 0, 1, 1});
    require_equal(where(less(a, 2.5), a, -1.0), {1, 2, -1, -1});
    require_equal(where(tensor({0, 1}), tensor({5, 6, 7}, {3, 1}), tensor({8, 9})), {8, 5, 8, 6, 8, 7});
    // The argument not chosen has no say, whatever it is.
    require_equal(where(tensor({1, 0}), tensor({1, kNan}), tensor({kNan, 2})), {1, 2});
    require_equal(multiply_add(a, b, 1.0 + b), {5, 7, 9, kNan});
    REQUIRE_THROWS_AS(less(a, tensor({1, 2})), ShapeError);
    REQUIRE_THROWS_AS(less(a, tensor({1}, Dtype::f32)), DtypeError);
}
