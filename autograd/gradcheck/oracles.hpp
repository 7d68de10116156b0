// The oracles behind check_op(): each tries one promise of autograd/op.hpp on the samples of one op. What
// they are called and what they find out stands at Row in check_op.hpp.
#pragma once

#include "autograd/gradcheck/check_op.hpp"
#include "autograd/gradcheck/op_function.hpp"

#include <string>
#include <string_view>

namespace microtome::gradcheck {

// Collects what an oracle finds into its row.
class Oracle {
  public:
    Oracle(std::string_view op, std::string_view name, uint64_t seed = 1) : seed_(seed) {
        row_.op = op;
        row_.oracle = name;
    }

    uint64_t seed() const { return seed_; }  // of what the oracle draws
    void sample() { ++row_.samples; }
    void fail(std::string_view sample, std::string_view what) {
        fail(Failure{std::string(sample), std::string(what)});
    }
    void fail(Failure failure);
    void require(bool condition, std::string_view sample, std::string_view what) {
        if (!condition) fail(sample, what);
    }
    void measured(double relative_error, double tolerance);

    // Runs body(item) for each item, and turns whatever it throws into a failure of that item.
    template <class Items, class Body>
    void each(const Items& items, const Body& body) {
        for (const auto& item : items) {
            sample();
            try {
                body(item);
            } catch (const std::exception& error) {
                fail(item.name, error.what());
            }
        }
    }

    Row row() && { return std::move(row_); }

  private:
    Row row_;
    uint64_t seed_;
    int failures_ = 0;
};

// "x1(0,2)" for element `index` of the tensors one after another; "random x" for -1.
std::string element_name(std::ptrdiff_t index, const char* letter, const Specs& specs);

// What gradcheck.hpp calls the parts of a vector: x0, x1, ... for the floating ones among the tensors.
Parts parts_of(const Specs& specs, const std::string& letter);

// Options of finite differences for this op: what its precision allows, and the names of its tensors.
Options options_for(const OpFunction& function, uint64_t seed);

// The vjp of the sample, and the vjp of its vjp as a function of (x, cotangent), by finite differences.
Report first_order(const OpFunction& function, uint64_t seed);
Report second_order(const OpFunction& function, uint64_t seed);

// What the op itself says: contract_oracles.cpp.
void check_samples(Oracle&, const OpInfo&, const SampleSet&);
void check_attributes(Oracle&, const OpInfo&, const SampleSet&);
void check_forward(Oracle&, const OpInfo&, const SampleSet&);
void check_needs(Oracle&, const OpInfo&, const SampleSet&);
void check_errors(Oracle&, const OpInfo&, const SampleSet&);
void check_abstract(Oracle&, const OpInfo&, const SampleSet&);
void check_not_followed(Oracle&, const OpInfo&, const SampleSet&);

// What comes out in numbers: number_oracles.cpp.
void check_first_order(Oracle&, const OpInfo&, const SampleSet&);
void check_second_order(Oracle&, const OpInfo&, const SampleSet&);
void check_cotangents(Oracle&, const OpInfo&, const SampleSet&);
void check_kinks(Oracle&, const OpInfo&, const SampleSet&);
void check_f32(Oracle&, const OpInfo&, const SampleSet&);

// The list of them, in the order in which they are run: oracle_list.cpp.
struct OracleInfo {
    std::string_view name;
    bool judges_gradients;  // a wrong vjp may make it fail, so mutants are shown to it
    // Why it cannot apply to an op, in words; empty: it applies.
    std::string (*hole)(const OpInfo&, const SampleSet&);
    void (*run)(Oracle&, const OpInfo&, const SampleSet&);
    bool on_duals = false;  // needs dual numbers, which only the CPU has
};
const std::vector<OracleInfo>& oracles();

// One oracle on some samples of an op, with whatever it throws turned into a failure.
Row run_oracle(const OracleInfo& oracle, const OpInfo& op, const SampleSet& set, uint64_t seed = 1);

// Fills in a failed row what the failures look like, how small the sample may be made, and how to see them
// again.
void explain_failures(Row& row, const OracleInfo& oracle, const OpInfo& op, const SampleSet& set,
                      uint64_t seed);

// The sample with its inputs cut to these shapes (their first elements along each axis). ShapeError where one
// is larger than the input, or has another rank.
OpSample cut_to(const OpSample& sample, const std::vector<Shape>& shapes);
// "(4,5),(5)" and back; OptionsError.
std::string shapes_text(const std::vector<Shape>& shapes);
std::vector<Shape> parse_shapes(const std::string& text);
// Exact derivatives by dual numbers: dual_oracles.cpp. They look at the samples on which the op takes such
// numbers, and at nothing if there is none.
void check_dual(Oracle&, const OpInfo&, const SampleSet&);
void check_dual_second_order(Oracle&, const OpInfo&, const SampleSet&);
void check_symmetry(Oracle&, const OpInfo&, const SampleSet&);
// Why they can look at nothing; empty if they can.
std::string reason_without_dual(const OpInfo&, const SampleSet&);

// Without any derivative but the one being checked: adjoint_oracle.cpp. Looks at the samples in which the op
// is linear in a variable.
void check_adjoint(Oracle&, const OpInfo&, const SampleSet&);
// Why there is none; empty if there is one.
std::string reason_without_adjoint(const OpInfo&, const SampleSet&);

}  // namespace microtome::gradcheck
