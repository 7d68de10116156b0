// What the gradient check is worth: every op's vjp is broken in a fixed list of ways, one at a time, and some
// oracle must say so. The share that is caught is the mutation score (DeMillo, Lipton, Sayward 1978).
//
//     MutationScore score = mutate_op(op_info<op::Relu>());
//     // score.caught == score.mutants - score.exempt, or the score.mutated say which survived
//
// A mutant is the op with another vjp in front of its own; forward pass, samples and promises stay. It is
// exempt if it changes no sample's gradient by more than 1e-6 of it (a gradient of one element cannot be
// transposed).
#pragma once

#include "autograd/samples.hpp"

#include <functional>
#include <string>
#include <vector>

namespace microtome::gradcheck {

struct Mutation {
    enum class Kind {
        scale,         // times 1.01
        scale_little,  // times 1 + 1e-5
        sign,
        zero,
        last_element,  // dropped
        transposed,    // axes `where` and `where` + 1
        reduction,     // the sum over what was broadcast is skipped: its first element is taken
        shifted,       // by one along axis `where`
        vector_tail,   // the elements behind the last multiple of `where` are 0
        saved,         // the vjp reads tensor `where` where it means `target`
        second_zero,   // the vjp is right, and what it kept is constant to whoever differentiates it
        second_scale,  // the vjp is right, and its derivative is times 1.01
    };
    Kind kind;
    int target = 0;  // which input's gradient; for `saved` a tensor, as below
    int where = 0;
    friend bool operator==(const Mutation&, const Mutation&) = default;
};

// Tensors of an op's run by number: inputs from 0, outputs from -1 downwards.
constexpr int output_number(int output) {
    return -1 - output;
}

std::string describe(const Mutation& mutation);  // "gradient of input 0 times 1.01"
// The op's mutation of that description; OptionsError where there is none.
Mutation mutation_named(const OpInfo& op, const std::string& description);

// An op broken by one mutation. While it lives, it is the one on this thread whose saves() are widened.
class MutantOp : public OpInfo {
  public:
    MutantOp(const OpInfo& original, const Mutation& mutation);
    ~MutantOp();
    MutantOp(const MutantOp&) = delete;
    MutantOp& operator=(const MutantOp&) = delete;

    const OpInfo& original() const { return *original_; }
    const Mutation& mutation() const { return mutation_; }

  private:
    const OpInfo* original_;
    Mutation mutation_;
    const MutantOp* before_;
};

// The op as a mutant; nullptr where it is none.
const MutantOp* as_mutant(const OpInfo& op);

// The mutations that the shapes of these samples allow.
std::vector<Mutation> mutations_of(const OpInfo& op, const SampleSet& set);

struct Mutant {
    enum class Fate { caught, exempt, survived };
    Mutation mutation;
    Fate fate = Fate::exempt;
    std::string caught_by{}, sample{};  // the first oracle that failed, and on what
    double change = 0;                  // of the gradient, relative: the largest seen
};

struct MutationScore {
    std::string op;
    int mutants = 0, caught = 0, exempt = 0;
    std::vector<Mutant> mutated{};
    double seconds = 0;
    int survived() const { return mutants - caught - exempt; }
};

// Breaks the op in every way. `seen` hears of each mutant; false from it ends the run early. With the name of
// an oracle, mutants are shown to that one alone: what would survive without the others.
MutationScore mutate_op(const OpInfo& op, const std::function<bool(const Mutant&)>& seen = {},
                        std::string_view oracle = "");

}  // namespace microtome::gradcheck
