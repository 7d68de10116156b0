// The gradient check that no op escapes: everything that autograd/op.hpp promises, tried on the op's samples.
//
//     for (const Row& row : gradcheck::check_op(user_op<Mine>()))
//         if (!row.pass) std::cerr << gradcheck::explain(row);
#pragma once

#include "autograd/op.hpp"

#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

namespace microtome::gradcheck {

// One thing that an oracle found, and what was made of it.
struct Failure {
    std::string sample;
    std::string text;  // one line
    // The worst comparison of numbers, where numbers were compared: "d y0(3,4) / d x0(3,4)".
    std::string where{};
    double analytic = 0, numeric = 0, tolerance = 0;
    // What it looks like (gradcheck.hpp lists the patterns; "wrong saved tensor", "second order", "unseen"
    // besides).
    std::string pattern{}, diagnosis{};
    std::string map{};       // lines of '.' (right) and '#' (wrong) for the elements of the gradient
    std::string inputs{};    // the sample's shapes, "(4,5),(5)"
    std::string smallest{};  // the smallest shapes found on which the oracle still fails
    std::string again{};     // a command that shows this and nothing else
};

// What one oracle said about one op. The oracles, each over all samples it applies to:
//
//   samples             there are some, they differentiate by something, and a promise at a kink has its case
//   attributes          are printed, and equal hashes mean equal text
//   forward             outputs as the shape rule says, twice the same bits, inputs untouched
//   finite differences  the vjp, in f64: full Jacobian and a random cotangent, or projections
//   second order        the map (x, cotangent) -> vjp by finite differences through nested tapes; where there
//                       is none, asking for it is a TapeError
//   dual                the vjp, in f64, against J u of the op run on dual numbers, which is exact and has
//                       f64's bits in its values; element by element, or projections
//   dual second order   the vjp run on dual numbers against its own vjp through nested tapes
//   symmetry            u^T H w = w^T H u for the derivative H of the vjp by its point
//   adjoint             <v, f(u)> = <vjp(v), u> for inputs in which the op is linear, or affine
//   needs               gradients of any subset of inputs are the same bits as those of all, and a tape saves
//                       what saves() names, never more for fewer needs
//   cotangents          zero gives exactly zero, the vjp is linear, undefined ones count as zero
//   kink                what is promised at a kink, exactly
//   errors              inputs that do not fit are refused in the form "[name] message"
//   f32                 the same in f32, within what rounding can explain
//   abstract            shapes alone give the right shapes, forward and backward
//   not followed        the outputs of an op without gradient are on no tape
struct Row {
    std::string op, oracle;
    int samples = 0;
    double worst_relative_error = 0, tolerance = 0;  // of the worst comparison; 0 where only bits count
    bool pass = true;
    std::string text;  // the first failures: sample, element, analytic and numeric value
    double seconds = 0;
    std::vector<Failure> failures{};  // the first of them
};
std::ostream& operator<<(std::ostream& out, const Row& row);

// A failed row in several lines: the worst element, what the error looks like, the smallest shapes that still
// fail, and how to see it again. Empty for a row that passed.
std::string explain(const Row& row);

// Less than everything.
struct Selection {
    std::string oracle{}, sample{};  // empty: all
    std::string shapes{};            // "(4,5),(5)": the samples' inputs cut to these; empty: as they are
    Device device = kCpu;            // where the op is run; dual numbers are on the CPU alone
    uint64_t seed = 1;               // of random cotangents and directions
    bool explain = true;             // a failure's pattern, smallest shapes and command are looked for
};

// All oracles for one op, in the order above, those left out that cannot apply. OptionsError for an oracle
// that does not exist, a sample that the op does not have, shapes that no sample can be cut to, and where the
// thread's products are not in f32 (tensor/precision.hpp).
std::vector<Row> check_op(const OpInfo& op, const Selection& selection = {});

// The op of the list with that name, or all ops if it is empty. OptionsError when there is none.
std::vector<const OpInfo*> ops_named(std::string_view name);
std::vector<Row> check_all(std::string_view name = "");

}  // namespace microtome::gradcheck
