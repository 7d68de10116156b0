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
    Oracle(std::string_view op, std::string_view name) {
        row_.op = op;
        row_.oracle = name;
    }

    void sample() { ++row_.samples; }
    void fail(std::string_view sample, std::string_view what);
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
    int failures_ = 0;
};

// "x1(0,2)" for element `index` of the tensors one after another; "random x" for -1.
std::string element_name(std::ptrdiff_t index, const char* letter, const Specs& specs);

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

}  // namespace microtome::gradcheck
