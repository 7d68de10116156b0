// The checker must catch what it is there for: planted mistakes in otherwise sound ops, and in plain
// functions for the header that stands alone.
#include "autograd/describe.hpp"
#include "autograd/gradcheck/check_op.hpp"
#include "autograd/gradcheck/gradcheck.hpp"
#include "autograd/ops/arithmetic.hpp"
#include "autograd/ops/control.hpp"
#include "autograd/ops/linear.hpp"
#include "autograd/ops/shaping.hpp"

#include <catch2/catch.hpp>
#include <set>

using namespace microtome;
using Catch::Contains;
using gradcheck::Row;
using gradcheck::Vector;
using gradcheck::View;

namespace {

enum class Mistake {
    none,
    scale,           // 1.01
    scale_slightly,  // 1 + 1e-5
    sign,
    zero,
    last_element,  // dropped
    transposed,
    no_reduction,      // over the axes that were broadcast, but for taking the first row
    wrong_saved,       // the vjp uses the other input
    unsaved,           // the vjp reads what saves() does not name
    second_order,      // the vjp is right, and constant in what it should depend on
    depends_on_needs,  // rounds differently when the other gradient is not wanted
    depends_on_saved,  // the same, by what the tape kept
    saves_more,        // for fewer needs
    writes_input,
    zero_over_zero,   // NaN for a cotangent of 0
    kink,             // another convention than promised
    no_error,         // accepts what it says it refuses
    f32,              // right in f64 only
    abstract_shape,   // backward works on elements only
    promise_untested  // kinks said, none shown
};

Tensor without_last(const Tensor& g) {
    Tensor mask = Tensor::full(g.shape(), 1, g.dtype());
    if (g.elements() > 0 && !g.is_abstract())
        visit_f32_f64("test", g.dtype(), [&]<class T>() { mask.mutable_data<T>().back() = 0; });
    return g * mask;
}

// y = a * b for a (R,C) and a row or equal shape b; its vjp has the mistake.
template <Mistake mistake>
struct Product {
    static constexpr std::string_view name = "product";
    static constexpr std::string_view formula = "y = a b";
    static constexpr std::string_view kinks = mistake == Mistake::promise_untested ? "at 7: 0" : "";
    static constexpr SecondOrder second_order = SecondOrder::closed;
    struct Attributes {
        int64_t unused = 0;
        void each(auto&& field) const { field("unused", unused); }
    };

    static Specs shape_rule(const Attributes&, const Specs& in) {
        if (mistake != Mistake::no_error && in[0].shape.rank() != 2)
            throw ShapeError(name, str("expected a matrix, got ", in[0]));
        return {in[0]};
    }
    template <class T>
    static void multiply_rows(const Tensors& in, Tensor& out) {
        auto a = in[0].data<T>(), b = in[1].data<T>();
        auto y = out.mutable_data<T>();
        for (std::size_t i = 0; i < y.size(); ++i) y[i] = a[i] * b[i % b.size()];
        if (mistake == Mistake::f32 && sizeof(T) == 4 && y.size() > 0) y[0] *= T(1.0001);
    }
    static void forward(const Attributes&, const Tensors& in, Tensors& out, KernelContext&) {
        visit_f32_f64("product", in[0].dtype(), [&]<class T>() {
            if (mistake == Mistake::writes_input) {
                Tensor same = in[0];
                if (same.elements() > 0) same.mutable_data<T>()[0] += 1;
            }
            multiply_rows<T>(in, out[0]);
        });
    }
    static Saves saves(const Attributes&, Needs needs) {
        if (mistake == Mistake::unsaved) return Saves().input_if(needs[1], 0);
        if (mistake == Mistake::wrong_saved) return Saves().input_if(needs[0], 0).input_if(needs[1], 0);
        if (mistake == Mistake::saves_more && !(needs[0] && needs[1]))
            return Saves().input(0).input(1).output(0);
        if (mistake == Mistake::depends_on_needs || mistake == Mistake::zero_over_zero)
            return Saves().input(0).input(1);
        return Saves().input_if(needs[0], 1).input_if(needs[1], 0);
    }
    static Tensors vjp(const Attributes&, const Recorded& record, const Tensors& g) {
        Tensors d(2);
        if (record.needs(0)) {
            const Tensor& b = record.input(mistake == Mistake::wrong_saved ? 0 : 1);
            d[0] = g[0] * b;
            if (mistake == Mistake::scale) d[0] = d[0] * 1.01;
            if (mistake == Mistake::scale_slightly) d[0] = d[0] * (1 + 1e-5);
            if (mistake == Mistake::sign) d[0] = -d[0];
            if (mistake == Mistake::zero) d[0] = d[0] * 0.0;
            if (mistake == Mistake::last_element) d[0] = without_last(d[0]);
            if (mistake == Mistake::transposed && d[0].size(0) > 0)
                d[0] = reshape(transpose(d[0]), d[0].shape());
            if (mistake == Mistake::second_order) d[0] = g[0] * stop_gradient(b);
            if (mistake == Mistake::depends_on_needs && !record.needs(1)) d[0] = (d[0] * 3.0) / 3.0;
            if (mistake == Mistake::depends_on_saved && !record.inputs[0].tensor.defined())
                d[0] = (d[0] * 3.0) / 3.0;
            if (mistake == Mistake::zero_over_zero) d[0] = (g[0] * g[0] / g[0]) * b;
            if (mistake == Mistake::abstract_shape && d[0].elements() > 0)
                visit_f32_f64("product", d[0].dtype(), [&]<class T>() { (void)d[0].template data<T>(); });
        }
        if (record.needs(1)) {
            Tensor whole = g[0] * record.input(0);
            const Shape& b = record.input_specs[1].shape;
            if (mistake == Mistake::no_reduction && b.rank() == 1 && whole.elements() > 0)
                d[1] = reshape(matmul(one_hot_row(whole), whole), b);
            else
                d[1] = sum_to(whole, b);
        }
        return d;
    }
    // (1,R): 1 0 0 ...
    static Tensor one_hot_row(const Tensor& like) {
        Tensor row = Tensor::zeros({1, like.size(0)}, like.dtype());
        visit_f32_f64("product", like.dtype(), [&]<class T>() { row.mutable_data<T>()[0] = 1; });
        return row;
    }
    static void samples(Samples<Product>& s) {
        s.add("square", {}, {uniform({3, 3}, 0.5, 1.5), uniform({3, 3}, 0.5, 1.5, 2)});
        s.add("a row", {1}, {uniform({4, 5}, 0.5, 1.5), uniform({5}, 0.5, 1.5, 2)});
        s.add("empty", {}, {uniform({0, 3}), uniform({3})});
        s.kink("nothing special at 1", {}, {Tensor::of({1.0, 2.0}, {1, 2}), Tensor::of({3.0, 4.0}, {2})},
               {Tensor::of({1.0, 1.0}, {1, 2})},
               {Tensor::of({mistake == Mistake::kink ? 2.0 : 3.0, 4.0}, {1, 2}), Tensor()});
        if (mistake == Mistake::promise_untested) s.kinks.clear();
        s.fails("a vector", {}, {f64({3}), f64({3})}, "expected a matrix");
    }
};

std::set<std::string> failed_oracles(const OpInfo& op) {
    std::set<std::string> failed;
    for (const Row& row : gradcheck::check_op(op))
        if (!row.pass) {
            UNSCOPED_INFO(row);
            CHECK_FALSE(row.text.empty());
            failed.insert(row.oracle);
        }
    return failed;
}

template <Mistake mistake>
std::set<std::string> caught() {
    return failed_oracles(user_op<Product<mistake>>());
}

bool has(const std::set<std::string>& names, const char* name) {
    return names.contains(name);
}

}  // namespace

TEST_CASE("a sound op from outside the list passes every oracle", "[gradcheck][self]") {
    CHECK(caught<Mistake::none>().empty());
    Tensor y = apply_user_op<Product<Mistake::none>>({}, {uniform({2, 2}), uniform({2})})[0];
    CHECK(y.shape() == Shape{2, 2});
}

TEST_CASE("each wrong vjp is caught by finite differences", "[gradcheck][self]") {
    CHECK(has(caught<Mistake::scale>(), "finite differences"));
    CHECK(has(caught<Mistake::scale_slightly>(), "finite differences"));
    CHECK(has(caught<Mistake::sign>(), "finite differences"));
    CHECK(has(caught<Mistake::zero>(), "finite differences"));
    CHECK(has(caught<Mistake::last_element>(), "finite differences"));
    CHECK(has(caught<Mistake::transposed>(), "finite differences"));
    CHECK(has(caught<Mistake::no_reduction>(), "finite differences"));
    CHECK(has(caught<Mistake::wrong_saved>(), "finite differences"));
}

TEST_CASE("a vjp that is right once and wrong when differentiated is caught", "[gradcheck][self]") {
    CHECK(caught<Mistake::second_order>() == std::set<std::string>{"second order"});
}

TEST_CASE("reading what was not saved is caught, and named", "[gradcheck][self]") {
    CHECK(has(caught<Mistake::unsaved>(), "needs"));
    for (const Row& row : gradcheck::check_op(user_op<Product<Mistake::unsaved>>()))
        if (row.oracle == "finite differences")
            CHECK_THAT(row.text, Contains("reads input 1, which was not saved"));
}

TEST_CASE("each broken promise is caught by the oracle that is there for it", "[gradcheck][self]") {
    using Names = std::set<std::string>;
    CHECK(caught<Mistake::depends_on_needs>() == Names{"needs"});
    CHECK(caught<Mistake::depends_on_saved>() == Names{"needs"});
    CHECK(caught<Mistake::saves_more>() == Names{"needs"});
    CHECK(has(caught<Mistake::writes_input>(), "forward"));
    CHECK(has(caught<Mistake::zero_over_zero>(), "cotangents"));
    CHECK(caught<Mistake::kink>() == Names{"kink"});
    CHECK(caught<Mistake::no_error>() == Names{"errors"});
    CHECK(caught<Mistake::f32>() == Names{"f32"});
    CHECK(caught<Mistake::abstract_shape>() == Names{"abstract"});
    CHECK(caught<Mistake::promise_untested>() == Names{"samples"});
}

TEST_CASE("a failure names the sample and the element", "[gradcheck][self]") {
    for (const Row& row : gradcheck::check_op(user_op<Product<Mistake::last_element>>())) {
        if (row.oracle != "finite differences") continue;
        CHECK_THAT(row.text, Contains("sample \"a row\"") && Contains("d y0(3,4) / d x0(3,4)") &&
                                 Contains("analytic 0, numeric"));
        CHECK(row.worst_relative_error > row.tolerance);
    }
}

// --- ops without second order

namespace {

// y = x^2 with a vjp that no tape can look into; `honest` says so.
template <bool honest>
struct OpaqueSquare {
    static constexpr std::string_view name = "opaque_square";
    static constexpr std::string_view formula = "y = x^2";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = honest ? SecondOrder::none : SecondOrder::closed;
    static constexpr std::string_view second_order_reason = "its vjp is a loop over elements";
    using Attributes = NoAttributes;

    static Specs shape_rule(const Attributes&, const Specs& in) { return {in[0]}; }
    static void forward(const Attributes&, const Tensors& in, Tensors& out, KernelContext&) {
        times(in[0], in[0], 1, out[0]);
    }
    static Saves saves(const Attributes&, Needs) { return Saves().input(0); }
    static Tensors vjp(const Attributes&, const Recorded& record, const Tensors& g) {
        if (g[0].is_abstract()) return {Tensor::abstract(g[0].spec())};
        Tensor d(g[0].spec());
        times(g[0], record.input(0), 2, d);
        return {d};
    }
    static void times(const Tensor& a, const Tensor& b, int factor, Tensor& y) {
        visit_f32_f64("opaque_square", a.dtype(), [&]<class T>() {
            auto out = y.mutable_data<T>();
            for (std::size_t i = 0; i < out.size(); ++i)
                out[i] = static_cast<T>(factor) * a.data<T>()[i] * b.data<T>()[i];
        });
    }
    static void samples(Samples<OpaqueSquare>& s) { s.add("any", {}, {uniform({3}, 0.5, 1)}); }
};

}  // namespace

TEST_CASE("an op without second order must say so", "[gradcheck][self]") {
    CHECK(failed_oracles(user_op<OpaqueSquare<true>>()).empty());
    CHECK(has(failed_oracles(user_op<OpaqueSquare<false>>()), "second order"));
}

// --- the header that stands alone

namespace {

// y = tanh(W x), with W (n,n), and its vjp with one element of the Jacobian off by `wrong`.
struct Layer {
    std::size_t n;
    double wrong = 0;
    Vector w;

    explicit Layer(std::size_t size, double error = 0) : n(size), wrong(error), w(size * size) {
        gradcheck::Random random(5);
        for (double& value : w) value = (2 * random.unit() - 1) / std::sqrt(static_cast<double>(n));
    }
    Vector operator()(View x) const {
        Vector y(n, 0.0);
        for (std::size_t i = 0; i < n; ++i) {
            for (std::size_t j = 0; j < n; ++j) y[i] += w[i * n + j] * x[j];
            y[i] = std::tanh(y[i]);
        }
        return y;
    }
    Vector vjp(View x, View v) const {
        const Vector y = (*this)(x);
        Vector d(n, 0.0);
        for (std::size_t i = 0; i < n; ++i)
            for (std::size_t j = 0; j < n; ++j) d[j] += v[i] * (1 - y[i] * y[i]) * w[i * n + j];
        d[n / 2] += wrong * v[n / 3];
        return d;
    }
};

gradcheck::Report check_layer(const Layer& layer, uint64_t seed = 1) {
    gradcheck::Random random(seed + 100);
    Vector x(layer.n);
    for (double& value : x) value = 2 * random.unit() - 1;
    gradcheck::Options options;
    options.seed = seed;
    return gradcheck::check(
        layer, [&](View at, View v) { return layer.vjp(at, v); }, x, options);
}

}  // namespace

TEST_CASE("one wrong element is found in small and large Jacobians", "[gradcheck][self]") {
    for (std::size_t n : {10, 100, 300}) {
        INFO("n = " << n);
        for (double wrong : {1e-1, 1e-3, 1e-5, 1e-7}) {
            INFO("wrong by " << wrong);
            const gradcheck::Report report = check_layer(Layer(n, wrong));
            INFO(report.text);
            CHECK(report.verdict == gradcheck::Verdict::fail);
            if (report.full) {
                CHECK(report.worst.input == static_cast<std::ptrdiff_t>(n / 2));
                CHECK(std::abs(std::abs(report.worst.analytic - report.worst.numeric) - wrong) <
                      1e-3 * wrong);
            }
        }
        for (uint64_t seed = 1; seed <= (n == 300 ? 3u : 20u); ++seed) {
            const gradcheck::Report report = check_layer(Layer(n), seed);
            INFO(report.text);
            CHECK(report.pass());
            CHECK(report.full == (n <= 100));
        }
    }
}

TEST_CASE("what cannot be told apart is inconclusive, never a pass", "[gradcheck][self]") {
    auto check1 = [](auto f, auto derivative, double x) {
        return gradcheck::check([&](View at) { return Vector{f(at[0])}; },
                                [&](View at, View v) { return Vector{derivative(at[0]) * v[0]}; }, Vector{x});
    };
    // A kink within the steps, a step function's jump, noise, and a function that ends at x.
    auto size = [](double x) { return std::abs(x); };
    CHECK_FALSE(check1(
                    size, [](double) { return 1.0; }, 1e-5)
                    .pass());
    CHECK_FALSE(
        check1([](double x) { return std::sqrt(x); }, [](double x) { return 0.5 / std::sqrt(x); }, 1e-9)
            .pass());
    const auto large_offset = check1([](double x) { return 1e9 + x; }, [](double) { return 1.0; }, 0.3);
    CHECK(large_offset.verdict == gradcheck::Verdict::inconclusive);
    const auto noisy =
        check1([](double x) { return x + 1e-6 * std::sin(1e9 * x); }, [](double) { return 1.0; }, 0.3);
    CHECK_FALSE(noisy.pass());
}

TEST_CASE("finite differences at points of any size", "[gradcheck][self]") {
    for (double x : {1e-12, 1e-3, 0.7, 42.0, 1e6, -1e12}) {
        INFO("x = " << x);
        const auto report =
            gradcheck::check([](View at) { return Vector{at[0] * at[0] * 1e-3}; },
                             [](View at, View v) { return Vector{2e-3 * at[0] * v[0]}; }, Vector{x});
        INFO(report.text);
        CHECK(report.verdict != gradcheck::Verdict::fail);
        if (std::abs(x) > 0.1) CHECK(report.pass());
    }
}

TEST_CASE("what cancels to nothing is zero within rounding, and tiny gradients are not",
          "[gradcheck][self]") {
    auto ratio = [](View at) { return Vector{at[0] / at[0] - 1}; };
    auto rounded = [](View at, View v) { return Vector{v[0] / at[0] - v[0] * at[0] / (at[0] * at[0])}; };
    for (double x : {0.3, 0.7, 1.1}) CHECK(gradcheck::check(ratio, rounded, Vector{x}).pass());
    // What is small beside the unit is as good as zero, unless the unit says otherwise.
    auto tiny = [](View at) { return Vector{1e-15 * at[0]}; };
    auto twice = [](View, View v) { return Vector{2e-15 * v[0]}; };
    gradcheck::Options options;
    CHECK(gradcheck::check(tiny, twice, Vector{0.3}, options).pass());
    options.unit = 1e-15;
    CHECK(gradcheck::check(tiny, twice, Vector{0.3}, options).verdict == gradcheck::Verdict::fail);
    auto small = [](View at) { return Vector{1e-9 * at[0]}; };
    CHECK(gradcheck::check(
              small, [](View, View v) { return Vector{1e-9 * v[0]}; }, Vector{0.3})
              .pass());
    CHECK_FALSE(gradcheck::check(
                    small, [](View, View v) { return Vector{1.00001e-9 * v[0]}; }, Vector{0.3})
                    .pass());
}

TEST_CASE("constant functions, empty ones and results of a wrong size", "[gradcheck][self]") {
    auto zeros = [](View x, View) { return Vector(x.size(), 0.0); };
    const Vector x{1, 2, 3};
    CHECK(gradcheck::check([](View) { return Vector{5, 6}; }, zeros, x).pass());
    CHECK(gradcheck::check([](View) { return Vector{}; }, zeros, x).pass());
    CHECK(gradcheck::check([](View) { return Vector{1}; }, zeros, Vector{}).pass());

    auto ones = [](View at, View) { return Vector(at.size(), 1.0); };
    CHECK(gradcheck::check([](View) { return Vector{5, 6}; }, ones, x).verdict == gradcheck::Verdict::fail);

    auto sum = [](View at) { return Vector{at[0] + at[1] + at[2]}; };
    const auto too_short = gradcheck::check(
        sum, [](View, View) { return Vector{1}; }, x);
    CHECK(too_short.verdict == gradcheck::Verdict::fail);
    CHECK_THAT(too_short.text, Contains("1 elements for 3 inputs"));
    const auto nan = gradcheck::check(
        sum, [](View at, View) { return Vector(at.size(), std::nan("")); }, x);
    CHECK(nan.verdict == gradcheck::Verdict::fail);
    CHECK(gradcheck::check([](View at) { return Vector{std::log(at[0] - 1)}; }, zeros, x).verdict ==
          gradcheck::Verdict::inconclusive);
}
