// The exact oracles must catch what finite differences cannot see.
#include "autograd/describe.hpp"
#include "autograd/gradcheck/check_op.hpp"
#include "autograd/gradcheck/oracles.hpp"
#include "autograd/ops/arithmetic.hpp"
#include "autograd/ops/control.hpp"
#include "autograd/ops/shaping.hpp"
#include "autograd/tape.hpp"

#include <catch2/catch.hpp>
#include <map>

using namespace microtome;
using gradcheck::Row;

namespace {

enum class Mistake {
    none,
    last_digits,    // the vjp is wrong by 1e-11: far below what finite differences see
    second_order,   // right, and constant in what it should depend on
    second_digits,  // right, with a second derivative that is wrong by 1e-10
    no_function,    // a vjp that is the gradient of nothing
    other_value,    // what dual numbers give is not what doubles give
    no_dual_kernel,
};

// y = x^3, element by element.
template <Mistake mistake>
struct Cube {
    static constexpr std::string_view name = "cube";
    static constexpr std::string_view formula = "y = x^3";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::closed;
    using Attributes = NoAttributes;

    static Specs shape_rule(const Attributes&, const Specs& in) { return {in[0]}; }
    static void forward(const Attributes&, const Tensors& in, Tensors& out, KernelContext&) {
        auto cube = [&]<class T>() {
            auto x = in[0].data<T>();
            auto y = out[0].mutable_data<T>();
            for (std::size_t i = 0; i < x.size(); ++i) y[i] = x[i] * x[i] * x[i];
            if (mistake == Mistake::other_value && sizeof(T) == 16) y[0] *= T(1 + 0x1p-52);
        };
        if (mistake == Mistake::no_dual_kernel)
            visit_f32_f64("cube", in[0].dtype(), cube);
        else
            visit_floating("cube", in[0].dtype(), cube);
    }
    static Saves saves(const Attributes&, Needs) { return Saves().input(0); }
    static Tensors vjp(const Attributes&, const Recorded& record, const Tensors& g) {
        const Tensor& x = record.input(0);
        Tensor d = g[0] * x * x * 3.0;
        if (mistake == Mistake::last_digits) d = d * (1 + 1e-11);
        if (mistake == Mistake::second_order) d = g[0] * stop_gradient(x) * x * 3.0;
        if (mistake == Mistake::second_digits) d = d * replace_gradient(x / x, x * 1e-10);
        if (mistake == Mistake::no_function) d = d + flip(x, 0) * x * 1e-6;
        return {d};
    }
    static void samples(Samples<Cube>& s) { s.add("any", {}, {uniform({7}, 1, 2)}); }
};

// y = x + its mirror image along the first axis, times a row: linear in either.
template <bool mistake>
struct Fold {
    static constexpr std::string_view name = "fold";
    static constexpr std::string_view formula = "y = (x + flip(x)) w + 1";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::closed;
    using Attributes = NoAttributes;

    static Specs shape_rule(const Attributes&, const Specs& in) { return {in[0]}; }
    static void forward(const Attributes&, const Tensors& in, Tensors& out, KernelContext&) {
        PauseTapes pause;
        out[0].copy_from((in[0] + flip(in[0], 0)) * in[1] + 1.0);
    }
    static Saves saves(const Attributes&, Needs) { return Saves().input(0).input(1); }
    static Tensors vjp(const Attributes&, const Recorded& record, const Tensors& g) {
        const Tensor &x = record.input(0), &w = record.input(1);
        Tensor through = g[0] * w;
        if (!mistake) through = through + flip(through, 0);
        if (mistake) through = through * 2.0;
        return {through, sum_to(g[0] * (x + flip(x, 0)), w.shape())};
    }
    static void samples(Samples<Fold>& s) { s.add("any", {}, {uniform({4, 3}), uniform({3}, -1, 1, 2)}); }
};

std::map<std::string, Row> rows_of(const OpInfo& op) {
    std::map<std::string, Row> rows;
    for (Row& row : gradcheck::check_op(op)) rows.emplace(row.oracle, row);
    return rows;
}

}  // namespace

TEST_CASE("a sound op passes the exact oracles", "[gradcheck][dual]") {
    for (const auto& [oracle, row] : rows_of(user_op<Cube<Mistake::none>>())) {
        INFO(row);
        CHECK(row.pass);
    }
    const auto rows = rows_of(user_op<Fold<false>>());
    for (const char* oracle : {"dual", "dual second order", "symmetry", "adjoint"}) {
        INFO(oracle);
        REQUIRE(rows.contains(oracle));
        CHECK(rows.at(oracle).pass);
        CHECK(rows.at(oracle).samples == 1);
    }
    CHECK_FALSE(rows_of(user_op<Cube<Mistake::none>>()).contains("adjoint"));  // it is not linear
}

TEST_CASE("mistakes too small for finite differences are caught on dual numbers", "[gradcheck][dual]") {
    auto first = rows_of(user_op<Cube<Mistake::last_digits>>());
    CHECK(first.at("finite differences").pass);
    CHECK_FALSE(first.at("dual").pass);
    INFO(first.at("dual"));
    CHECK_THAT(first.at("dual").text, Catch::Contains("of 50") && Catch::Contains("exact"));

    auto second = rows_of(user_op<Cube<Mistake::second_digits>>());
    CHECK(second.at("second order").pass);
    CHECK(second.at("dual").pass);
    CHECK_FALSE(second.at("dual second order").pass);
}

TEST_CASE("wrong second order, a vjp of no function, another value", "[gradcheck][dual]") {
    auto wrong = rows_of(user_op<Cube<Mistake::second_order>>());
    CHECK(wrong.at("dual").pass);
    CHECK_FALSE(wrong.at("dual second order").pass);
    CHECK_FALSE(rows_of(user_op<Cube<Mistake::no_function>>()).at("symmetry").pass);
    auto other = rows_of(user_op<Cube<Mistake::other_value>>());
    CHECK_FALSE(other.at("dual").pass);
    CHECK_THAT(other.at("dual").text, Catch::Contains("on dual numbers"));
}

TEST_CASE("a linear op whose vjp is not its adjoint", "[gradcheck][dual]") {
    const auto rows = rows_of(user_op<Fold<true>>());
    CHECK_FALSE(rows.at("adjoint").pass);
    CHECK_FALSE(rows.at("dual").pass);
}

TEST_CASE("an op that takes no dual numbers says so", "[gradcheck][dual]") {
    const OpInfo& op = user_op<Cube<Mistake::no_dual_kernel>>();
    CHECK(gradcheck::reason_without_dual(op, op.samples()) == "its kernel does not take dual numbers");
    const auto rows = rows_of(op);
    CHECK_FALSE(rows.contains("dual"));
    for (const auto& [oracle, row] : rows) CHECK(row.pass);
}

TEST_CASE("every op of the list runs on dual numbers", "[gradcheck][dual]") {
    for (const OpInfo* op : all_ops()) {
        INFO(op->name);
        if (op->vjp != nullptr) CHECK(gradcheck::reason_without_dual(*op, op->samples()) == "");
    }
}
