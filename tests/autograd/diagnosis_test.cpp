// What the gradient check says about a mistake: each kind, planted in an op from outside the list, is named
// in words; the failure is made small and can be seen again.
#include "autograd/describe.hpp"
#include "autograd/gradcheck/check_op.hpp"
#include "autograd/gradcheck/gradcheck.hpp"
#include "autograd/gradcheck/mutation.hpp"
#include "autograd/gradcheck/oracles.hpp"
#include "autograd/ops/arithmetic.hpp"
#include "autograd/ops/shaping.hpp"

#include <catch2/catch.hpp>

using namespace microtome;
using Catch::Contains;
using gradcheck::Failure;
using gradcheck::Mutation;
using gradcheck::Row;
using gradcheck::Vector;
using gradcheck::View;

namespace {

// y = a * b for a (R,C) and b (C) or (R,C).
struct RowProduct {
    static constexpr std::string_view name = "row_product";
    static constexpr std::string_view formula = "y = a b";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::closed;
    using Attributes = NoAttributes;

    static Specs shape_rule(const Attributes&, const Specs& in) {
        if (in[0].shape.rank() != 2 || in[1].shape[-1] != in[0].shape[1])
            throw ShapeError(name, str("expected a matrix and a row, got ", in[0], " and ", in[1]));
        return {in[0]};
    }
    static void forward(const Attributes&, const Tensors& in, Tensors& out, KernelContext&) {
        visit_f32_f64("row_product", in[0].dtype(), [&]<class T>() {
            auto a = in[0].data<T>(), b = in[1].data<T>();
            auto y = out[0].mutable_data<T>();
            for (std::size_t i = 0; i < y.size(); ++i) y[i] = a[i] * b[i % b.size()];
        });
    }
    static Saves saves(const Attributes&, Needs needs) {
        return Saves().input_if(needs[0], 1).input_if(needs[1], 0);
    }
    static Tensors vjp(const Attributes&, const Recorded& record, const Tensors& g) {
        Tensors d(2);
        if (record.needs(0)) d[0] = g[0] * record.input(1);
        if (record.needs(1)) d[1] = sum_to(g[0] * record.input(0), record.input_specs[1].shape);
        return d;
    }
    static void samples(Samples<RowProduct>& s) {
        s.add("a row", {}, {uniform({6, 7}, 0.5, 1.5), uniform({7}, 0.5, 1.5, 2)});
        s.add("square", {}, {uniform({3, 3}, 0.5, 1.5), uniform({3, 3}, 0.5, 1.5, 2)});
        s.fails("a vector", {}, {f64({3}), f64({3})}, "expected a matrix");
    }
};

// What is said about the mistake in that sample, by the first oracle that notices.
Failure said(const Mutation& mutation, const std::string& sample) {
    const gradcheck::MutantOp mutant(user_op<RowProduct>(), mutation);
    for (const Row& row : gradcheck::check_op(mutant, {.sample = sample}))
        for (const Failure& failure : row.failures) {
            UNSCOPED_INFO(explain(row));
            return failure;
        }
    FAIL("nobody noticed: " << describe(mutation));
    return {};
}

using Kind = Mutation::Kind;

}  // namespace

TEST_CASE("each kind of mistake is named in words", "[gradcheck][diagnosis]") {
    struct Case {
        Mutation mutation;
        const char *sample, *pattern, *words;
    };
    const Case cases[]{
        {{Kind::scale, 0}, "a row", "factor", "the gradient of x0 has the factor 1.01"},
        {{Kind::scale_little, 1}, "a row", "factor", "the gradient of x1 has the factor 1.00001"},
        {{Kind::sign, 0}, "a row", "sign", "the gradient of x0 has the wrong sign"},
        {{Kind::zero, 1}, "a row", "zero", "the gradient of x1 is zero, and should not be"},
        {{Kind::last_element, 0},
         "a row",
         "last element",
         "only the last element of the gradient of x0 is missing"},
        {{Kind::transposed, 0, 0}, "square", "transposed", "its axes 0 and 1 are swapped"},
        {{Kind::transposed, 0, 0}, "a row", "transposed", "its axes 0 and 1 are swapped"},
        {{Kind::reduction, 1},
         "a row",
         "reduction",
         "lacks the share of 35 of the 42 elements of y0: x1 was broadcast, and the sum over that axis is "
         "missing"},
        {{Kind::shifted, 0, 0},
         "a row",
         "shifted",
         "shifted by +1 along axis 0: an index that is off by one"},
        {{Kind::shifted, 0, 1}, "a row", "shifted", "along axis 1"},
        {{Kind::vector_tail, 0, 8},
         "a row",
         "vector tail",
         "only the last 2 of the 42 elements of the gradient of x0 are missing (0): the tail of a loop over "
         "4 or 8"},
        {{Kind::vector_tail, 1, 4}, "a row", "vector tail", "the last 3 of the 7 elements"},
        {{Kind::saved, 1, 0},
         "square",
         "wrong saved tensor",
         "the gradient of x0 is right once its vjp reads input 1 where it reads input 0"},
        {{Kind::second_zero}, "a row", "second order", "wrong when differentiated again (second order)"},
        {{Kind::second_scale, 0}, "a row", "second order", "has the factor 1.01"},
    };
    for (const Case& one : cases) {
        INFO(describe(one.mutation));
        const Failure failure = said(one.mutation, one.sample);
        CHECK(failure.pattern == one.pattern);
        // A saved tensor read in place of another is set right by reading it the other way round.
        CHECK_THAT(failure.diagnosis, Contains(one.words));
        CHECK(failure.where.starts_with("d "));
    }
}

TEST_CASE("a failure is made small and can be seen again", "[gradcheck][diagnosis]") {
    const Failure zero = said({Kind::zero, 0}, "a row");
    CHECK(zero.inputs == "(6,7),(7)");
    CHECK(zero.smallest == "(1,1),(1)");
    CHECK(zero.again ==
          "check_op(op, {.oracle = \"finite differences\", .sample = \"a row\", .shapes = \"(1,1),(1)\"})");
    // A sum that is skipped needs two to be summed, a transposition two axes.
    CHECK(said({Kind::reduction, 1}, "a row").smallest == "(2,1),(1)");
    CHECK(said({Kind::transposed, 0, 0}, "a row").smallest == "(2,2),(2)");

    const gradcheck::MutantOp mutant(user_op<RowProduct>(), {Kind::transposed, 0, 0});
    auto oracles_that_fail = [&](const std::string& shapes) {
        int failed = 0;
        for (const Row& row : gradcheck::check_op(
                 mutant, {.oracle = "finite differences", .sample = "a row", .shapes = shapes}))
            failed += !row.pass;
        return failed;
    };
    CHECK(oracles_that_fail("(2,2),(2)") == 1);
    CHECK(oracles_that_fail("(1,2),(2)") == 0);
}

TEST_CASE("a failed row reads like a lesson", "[gradcheck][diagnosis]") {
    const gradcheck::MutantOp mutant(user_op<RowProduct>(), {Kind::scale, 1});
    const Row row = gradcheck::check_op(mutant, {.oracle = "finite differences"}).at(0);
    const std::string text = explain(row);
    for (const char* line :
         {"FAIL row_product, finite differences\n", "sample     a row, inputs (6,7),(7)\n", "worst      d ",
          "the vjp    ", "should be  ", "diagnosis  the gradient of x1 has the factor",
          "smallest   fails with inputs (1,1),(1) still", "again      check_op(op, {"})
        CHECK_THAT(text, Contains(line));
    CHECK(explain(gradcheck::check_op(user_op<RowProduct>()).at(0)).empty());
    // The command for an op that the program knows.
    Row known = row;
    gradcheck::explain_failures(known, gradcheck::oracles().at(3), *gradcheck::ops_named("multiply").at(0),
                                {}, 5);
    CHECK_THAT(
        known.failures.at(0).again,
        Contains("microtome gradcheck --op multiply --oracle \"finite differences\" --sample \"a row\"") &&
            Contains("--seed 5"));
}

TEST_CASE("what finite differences cannot see is said to be so", "[gradcheck][diagnosis]") {
    auto never = [](const OpInfo&, const SampleSet&) { return std::string(); };
    auto run = [](gradcheck::Oracle& oracle, const OpInfo&, const SampleSet& set) {
        oracle.each(set.samples, [&](const OpSample& sample) { oracle.fail(sample.name, "off by 1e-15"); });
    };
    const gradcheck::OracleInfo oracle{"exact", true, never, run};
    const OpInfo& op = user_op<RowProduct>();
    Row row = gradcheck::run_oracle(oracle, op, op.samples());
    gradcheck::explain_failures(row, oracle, op, op.samples(), 1);
    REQUIRE(row.failures.size() == 2);
    CHECK(row.failures[0].pattern == "unseen");
    CHECK_THAT(row.failures[0].diagnosis, Contains("smaller than they can see"));
    CHECK(row.failures[0].smallest == "(1,1),(1)");
    CHECK_THAT(explain(row), Contains("found      off by 1e-15") && Contains("also       square"));
}

TEST_CASE("what is asked for and is not there", "[gradcheck][diagnosis]") {
    const OpInfo& op = user_op<RowProduct>();
    CHECK_THROWS_WITH(gradcheck::check_op(op, {.oracle = "finite diferences"}),
                      Contains("finite differences"));
    CHECK_THROWS_WITH(gradcheck::check_op(op, {.sample = "a rwo"}), Contains("did you mean 'a row'"));
    CHECK_THROWS_WITH(gradcheck::check_op(op, {.shapes = "(9,9),(9)"}), Contains("can be cut to"));
    for (const char* text : {"", "3", "(3", "(3,)x", "(,3)", "(99999999999)", "(1,1,1,1,1,1,1,1,1)"}) {
        INFO(text);
        CHECK_THROWS_AS(gradcheck::parse_shapes(text), OptionsError);
    }
    const std::vector<Shape> shapes = gradcheck::parse_shapes("(4,5), (), (0)");
    CHECK(shapes == std::vector<Shape>{{4, 5}, {}, {0}});
    CHECK(gradcheck::shapes_text(shapes) == "(4,5),(),(0)");
}

TEST_CASE("a sample cut to smaller shapes keeps its first elements", "[gradcheck][diagnosis]") {
    const Tensor x = Tensor::of({1.0, 2.0, 3.0, 4.0, 5.0, 6.0}, {2, 3});
    const OpSample sample{"s", nullptr, {x, x}, {}};
    const OpSample cut = gradcheck::cut_to(sample, {{2, 2}, {2, 2}});
    CHECK(gradcheck::to_doubles(cut.inputs[0]) == Vector{1, 2, 4, 5});
    CHECK(cut.inputs[0].id() == cut.inputs[1].id());
    CHECK_THROWS_AS(gradcheck::cut_to(sample, {{2, 2}, {2, 1}}), ShapeError);
    CHECK_THROWS_AS(gradcheck::cut_to(sample, {{3, 3}, {3, 3}}), ShapeError);
    CHECK_THROWS_AS(gradcheck::cut_to(sample, {{2, 2}}), ShapeError);
}

// --- the header that stands alone

namespace {

// y = w x for w (3,4), as a function of (w, x), with a mistake in w's gradient.
gradcheck::Report check_product(const std::function<void(Vector&)>& mistake, std::size_t full = 20000) {
    auto f = [](View p) {
        Vector y(3, 0.0);
        for (std::size_t i = 0; i < 3; ++i)
            for (std::size_t j = 0; j < 4; ++j) y[i] += p[4 * i + j] * p[12 + j];
        return y;
    };
    auto vjp = [&](View p, View v) {
        Vector d(16, 0.0);
        for (std::size_t i = 0; i < 3; ++i)
            for (std::size_t j = 0; j < 4; ++j) {
                d[4 * i + j] = v[i] * p[12 + j];
                d[12 + j] += v[i] * p[4 * i + j];
            }
        mistake(d);
        return d;
    };
    Vector p(16);
    gradcheck::Random random(3);
    for (double& value : p) value = 0.5 + random.unit();
    gradcheck::Options options;
    options.inputs = {{"w", {3, 4}}, {"x", {4}}};
    options.full_jacobian = full;
    return gradcheck::check(f, vjp, p, options);
}

}  // namespace

TEST_CASE("mistakes in plain functions are named, in full Jacobians and in projections",
          "[gradcheck][diagnosis]") {
    struct Case {
        const char *pattern, *words;
        std::function<void(Vector&)> mistake;
    };
    const Case cases[]{
        {"factor", "the gradient of x has the factor 1/3, and 3 is the number of elements of y",
         [](Vector& d) {
             for (std::size_t j = 12; j < 16; ++j) d[j] /= 3;
         }},
        {"factor", "the factor -2",
         [](Vector& d) {
             for (double& value : d) value *= -2;
         }},
        {"not finite", "is not finite", [](Vector& d) { d[3] = std::nan(""); }},
        {"mirrored", "runs the wrong way", [](Vector& d) { std::reverse(d.begin(), d.begin() + 12); }},
        {"border", "only the first place along axis 1 of the gradient of w is missing",
         [](Vector& d) { d[0] = d[4] = d[8] = 0; }},
        {"border", "only the last place along axis 0 of the gradient of w is wrong by the factor 3",
         [](Vector& d) {
             for (std::size_t j = 8; j < 12; ++j) d[j] *= 3;
         }},
        {"scattered",
         "2 of the 12 elements of the gradient of w are wrong by the factor 2; added up twice?, in no",
         [](Vector& d) { d[1] *= 2, d[6] *= 2; }},
        {"shifted", "shifted by -1 along axis 1",
         [](Vector& d) {
             for (std::size_t i = 0; i < 12; ++i) d[i] = i % 4 == 3 ? 0 : d[i + 1];
         }},
    };
    for (const Case& one : cases)
        for (std::size_t full : {20000u, 1u}) {
            INFO(one.pattern << ", full " << full);
            const gradcheck::Report report = check_product(one.mistake, full);
            CHECK(report.verdict == gradcheck::Verdict::fail);
            CHECK(report.pattern == one.pattern);
            CHECK_THAT(report.diagnosis, Contains(one.words));
            CHECK_THAT(report.text, Contains(report.diagnosis));
            if (report.full)
                CHECK(report.where.find(one.pattern == std::string("factor") ? "y(" : "w(") !=
                      std::string::npos);
        }
    const gradcheck::Report right = check_product([](Vector&) {});
    CHECK(right.pass());
    CHECK(right.pattern.empty());
    CHECK(right.diagnosis.empty());
}

TEST_CASE("a function that depends on nothing has no gradient", "[gradcheck][diagnosis]") {
    const auto report = gradcheck::check(
        [](View) {
            return Vector{5, 6};
        },
        [](View x, View) { return Vector(x.size(), 1.0); }, Vector{1, 2, 3});
    CHECK_THAT(report.diagnosis, Contains("should be 0: the function does not depend on x"));
}

TEST_CASE("code in float is checked as far as float allows", "[gradcheck][single]") {
    using Floats = std::vector<float>;
    using FloatView = std::span<const float>;
    auto f = [](FloatView x) {
        Floats y(x.size());
        for (std::size_t i = 0; i < y.size(); ++i) y[i] = x[i] * x[i] * x[(i + 1) % x.size()];
        return y;
    };
    double wrong = 0;
    auto vjp = [&](FloatView x, FloatView v) {
        Floats d(x.size(), 0.0f);
        for (std::size_t i = 0; i < x.size(); ++i) {
            const std::size_t next = (i + 1) % x.size();
            d[i] += 2 * v[i] * x[i] * x[next];
            d[next] += v[i] * x[i] * x[i];
        }
        d[0] *= static_cast<float>(1 + wrong);
        return d;
    };
    const Floats x{0.3f, -1.7f, 0.9f, 12.5f, 0.1f};
    CHECK(gradcheck::check(f, vjp, x).pass());
    // Options meant for double do not promise what float cannot keep.
    CHECK(gradcheck::check(f, vjp, x, gradcheck::Options()).pass());
    wrong = 0.01;
    const auto report = gradcheck::check(f, vjp, x);
    INFO(report.text);
    CHECK(report.verdict == gradcheck::Verdict::fail);
    CHECK(report.worst.input == 0);
    // A rounding error is no mistake.
    wrong = 1e-7;
    CHECK(gradcheck::check(f, vjp, x).pass());
}

TEST_CASE("a report as text and as JSON", "[gradcheck][diagnosis]") {
    gradcheck::Report report = check_product([](Vector& d) { d[11] = 0; });
    CHECK_THAT(explain(report),
               Contains("fail: ") && Contains("worst      d y") && Contains("w(2,3)") &&
                   Contains("the vjp    0\n") && Contains("f itself   ") &&
                   Contains("diagnosis  only the last element of the gradient of w is missing (0)"));
    const std::string json = to_json(report);
    CHECK_THAT(json, Contains("\"verdict\": \"fail\"") && Contains("\"pass\": false") &&
                         Contains("\"pattern\": \"last element\"") && Contains("\"analytic\": 0"));
    report.diagnosis = "a \"quote\", a \\ and a\nline";
    report.worst.analytic = std::nan("");
    CHECK_THAT(to_json(report),
               Contains(R"("diagnosis": "a \"quote\", a \\ and a\nline")") && Contains("\"analytic\": null"));
    CHECK_THAT(explain(check_product([](Vector&) {})), Contains("pass: 16 inputs, 3 outputs"));
    const auto unclear = gradcheck::check([](View at) { return Vector{1e9 + at[0]}; },
                                          [](View, View v) { return Vector{v[0]}; }, Vector{0.3});
    CHECK_THAT(explain(unclear), Contains("inconclusive") && Contains("too wide for a verdict"));
}
