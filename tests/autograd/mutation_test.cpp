// The gradient check is worth what it catches: every op's vjp broken in every way, and each caught.
#include "autograd/gradcheck/mutation.hpp"

#include "autograd/describe.hpp"
#include "autograd/gradcheck/coverage.hpp"
#include "autograd/gradcheck/oracles.hpp"
#include "autograd/ops/arithmetic.hpp"

#include <catch2/catch.hpp>
#include <set>

using namespace microtome;
using gradcheck::Mutant;
using gradcheck::Mutation;
using gradcheck::MutationScore;
using Kind = Mutation::Kind;

TEST_CASE("every mutant of every op is caught", "[gradcheck][mutation]") {
    int mutants = 0, exempt = 0;
    for (const OpInfo* op : all_ops()) {
        const MutationScore score = gradcheck::mutate_op(*op);
        CHECK((op->vjp == nullptr) == (score.mutants == 0));
        for (const Mutant& mutant : score.mutated) {
            INFO(op->name << ": " << describe(mutant.mutation) << ", changes " << mutant.change);
            CHECK(mutant.fate != Mutant::Fate::survived);
            CHECK((mutant.fate == Mutant::Fate::exempt) == (mutant.change <= 1e-6));
            CHECK((mutant.fate == Mutant::Fate::caught) == !mutant.caught_by.empty());
        }
        mutants += score.mutants;
        exempt += score.exempt;
    }
    CHECK(mutants > 1000);
    CHECK(exempt < mutants / 20);
}

namespace {

// y = x^2, whose samples cannot tell much.
template <bool useful>
struct Square {
    static constexpr std::string_view name = "square";
    static constexpr std::string_view formula = "y = x^2";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::closed;
    using Attributes = NoAttributes;

    static Specs shape_rule(const Attributes&, const Specs& in) { return {in[0]}; }
    static void forward(const Attributes&, const Tensors& in, Tensors& out, KernelContext&) {
        visit_f32_f64("square", in[0].dtype(), [&]<class T>() {
            auto y = out[0].mutable_data<T>();
            for (std::size_t i = 0; i < y.size(); ++i) y[i] = in[0].data<T>()[i] * in[0].data<T>()[i];
        });
    }
    static Saves saves(const Attributes&, Needs) { return Saves().input(0); }
    static Tensors vjp(const Attributes&, const Recorded& record, const Tensors& g) {
        return {g[0] * record.input(0) * 2.0};
    }
    static void samples(Samples<Square>& s) {
        if (useful)
            s.add("any", {}, {uniform({3, 7}, 0.5, 1)});
        else
            s.add("one", {}, {Tensor::of({1.0}, {1})});  // y is x there
    }
};

const Mutant& mutant_of(const MutationScore& score, const Mutation& mutation) {
    for (const Mutant& mutant : score.mutated)
        if (mutant.mutation == mutation) return mutant;
    FAIL("no such mutant: " << describe(mutation));
    return score.mutated.at(0);
}

}  // namespace

TEST_CASE("mutants are counted, and each says who caught it", "[gradcheck][mutation]") {
    const MutationScore score = gradcheck::mutate_op(user_op<Square<true>>());
    CHECK(score.op == "square");
    CHECK(score.mutants == static_cast<int>(score.mutated.size()));
    CHECK(score.caught == score.mutants);
    CHECK(score.survived() == 0);
    CHECK(mutant_of(score, {Kind::scale_little, 0}).caught_by == "finite differences");
    CHECK(mutant_of(score, {Kind::scale_little, 0}).change == Approx(1e-5).epsilon(1e-6));
    CHECK(mutant_of(score, {Kind::second_zero}).caught_by == "second order");
    CHECK(mutant_of(score, {Kind::saved, 0, -1}).sample == "any");
    std::set<std::string> kinds;
    for (const Mutant& mutant : score.mutated) kinds.insert(describe(mutant.mutation));
    CHECK(kinds.size() == score.mutated.size());
    CHECK(kinds.contains("output 0 saved in place of input 0"));
    CHECK(kinds.contains("gradient of input 0 off by one along axis 1"));
    CHECK(kinds.contains("gradient of input 0 without the tail of a loop over 16"));
}

TEST_CASE("a mutant that no sample can tell from the op is exempt, and not caught", "[gradcheck][mutation]") {
    const MutationScore score = gradcheck::mutate_op(user_op<Square<false>>());
    CHECK(mutant_of(score, {Kind::saved, 0, -1}).fate == Mutant::Fate::exempt);
    CHECK(mutant_of(score, {Kind::scale, 0}).fate == Mutant::Fate::caught);
    CHECK(score.exempt == 1);
}

TEST_CASE("mutants can be shown to one oracle alone", "[gradcheck][mutation]") {
    const MutationScore score = gradcheck::mutate_op(user_op<Square<true>>(), {}, "second order");
    CHECK(mutant_of(score, {Kind::second_zero}).fate == Mutant::Fate::caught);
    CHECK(mutant_of(score, {Kind::scale, 0}).fate == Mutant::Fate::survived);  // consistent with itself
    CHECK(score.survived() > 0);
}

TEST_CASE("a run over mutants can be ended early", "[gradcheck][mutation]") {
    int seen = 0;
    const MutationScore score =
        gradcheck::mutate_op(user_op<Square<true>>(), [&](const Mutant&) { return ++seen < 3; });
    CHECK(seen == 3);
    CHECK(score.mutants == 3);
}

TEST_CASE("a mutant has the healthy op's samples, saves and forward pass", "[gradcheck][mutation]") {
    const OpInfo& op = user_op<Square<true>>();
    const gradcheck::MutantOp scaled(op, {Kind::scale, 0}), saved(op, {Kind::saved, 0, -1});
    CHECK(scaled.saves == op.saves);
    const SampleSet set = op.samples();
    const void* attributes = set.samples[0].attributes.get();
    CHECK(saved.saves(attributes, Needs(1)).has_output(0));
    CHECK(saved.saves(attributes, Needs(1)).has_input(0));
    CHECK(scaled.forward == op.forward);
    const gradcheck::OpFunction healthy(op, set.samples[0]), broken(scaled, set.samples[0]);
    const gradcheck::Vector v(21, 1.0), expected = healthy.vjp(healthy.point(), v);
    const gradcheck::Vector got = broken.vjp(healthy.point(), v);
    for (std::size_t i = 0; i < 21; ++i) CHECK(got[i] == Approx(1.01 * expected[i]).epsilon(1e-14));
}

TEST_CASE("every hole in the coverage matrix has a reason", "[gradcheck][coverage]") {
    const std::vector<std::string> columns = gradcheck::coverage_columns();
    const std::set<std::string> titles(columns.begin(), columns.end());
    for (const char* title : {"finite differences", "reference = CPU", "CPU = CUDA", "second order", "kink",
                              "error messages", "mutation"})
        CHECK(titles.contains(title));
    for (const OpInfo* op : all_ops()) {
        const auto cells = gradcheck::coverage_of(*op);
        REQUIRE(cells.size() == columns.size());
        for (std::size_t i = 0; i < cells.size(); ++i) {
            INFO(op->name << ", " << columns[i]);
            CHECK((cells[i].tried > 0) == cells[i].hole.empty());
        }
    }
    // An oracle that judges gradients has its column, whoever adds it.
    for (const gradcheck::OracleInfo& oracle : gradcheck::oracles())
        if (oracle.judges_gradients) CHECK(titles.contains(std::string(oracle.name)));
}
