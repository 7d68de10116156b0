// What an operation is: the contract that every differentiable op of microtome keeps.
//
// An op is a struct with static members, written in one file, autograd/ops/NAME.cpp, beside the public
// function that applies it. This is a whole one:
//
//     struct op::Square {
//         static constexpr std::string_view name = "square";
//         static constexpr std::string_view formula = "y = x^2";
//         static constexpr std::string_view kinks = "";                     // smooth everywhere
//         static constexpr SecondOrder second_order = SecondOrder::closed;  // vjp is made of ops
//         using Attributes = NoAttributes;
//
//         static Specs shape_rule(const Attributes&, const Specs& in) { return {in[0]}; }
//         static void forward(const Attributes&, const Tensors& in, Tensors& out, KernelContext& context) {
//             kernels::unary(kernels::Unary::square, in[0], out[0], context);
//         }
//         static Saves saves(const Attributes&, Needs) { return Saves().input(0); }
//         static Tensors vjp(const Attributes&, const Recorded& record, const Tensors& g) {
//             return {g[0] * record.input(0) * 2.0};
//         }
//         static void samples(Samples<Square>& s) { s.add("any", {}, {uniform({3, 5})}); }
//     };
//     template <> const OpInfo& op_info<op::Square>() { return describe<op::Square>(); }
//     Tensor square(const Tensor& x) { return apply<op::Square>({}, {x})[0]; }
//
// The list of ops is closed (autograd/op_list.hpp). An op in the list that nobody defines does not link; an
// op that lacks a member does not compile, and the compiler says in words what is missing. In particular an
// op without samples() cannot be built, because an op without a gradient check cannot be trusted.
//
//   shape_rule  the outputs' shapes and types from the inputs', without data; throws on inputs that do
//               not fit.
//   forward     writes the outputs, which are allocated. An op whose output shares its input's storage
//               has `view(attributes, inputs) -> Tensors` instead.
//   gates       optional: specs of hidden outputs that only a vjp wants: one bit per element, a window's
//               index. forward finds them allocated behind the outputs when some tape needs them, and
//               absent otherwise.
//   workspace   optional: bytes of scratch memory that forward wants.
//   in_place    optional: an input, `static constexpr int in_place = 0`, whose memory a plan may give to
//               the first output when both have one spec and nobody reads the input afterwards. forward
//               must then read each of its elements no later than it writes the output's at that place.
//   saves       what a vjp that computes the gradients in `needs` reads again: inputs, outputs, gates.
//               Nothing else is kept; reading what was not saved is an error.
//   vjp         the gradients of the inputs from those of the outputs, written in ops so that it can be
//               differentiated again. An entry may be left undefined when record.needs(i) is false or
//               the gradient is zero. g[i] is undefined when nothing depends on output i, which only
//               ops with several outputs see.
//   not_differentiable
//               instead of saves, vjp, kinks and second_order: a sentence saying why the gradient is
//               zero or has no meaning. Tapes do not follow such an op's outputs.
//
// Ops are pure. They draw no random numbers of their own and change nothing but their outputs.
#pragma once

#include "tensor/kernels/context.hpp"
#include "tensor/tensor.hpp"

#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace microtome {

// Which inputs of an op want a gradient.
class Needs {
  public:
    Needs() = default;
    explicit Needs(uint32_t bits) : bits_(bits) {}
    bool operator[](int input) const { return (bits_ >> input) & 1u; }
    bool any() const { return bits_ != 0; }
    uint32_t bits() const { return bits_; }
    void set(int input) { bits_ |= 1u << input; }
    friend Needs operator&(Needs a, Needs b) { return Needs(a.bits_ & b.bits_); }
    friend Needs operator|(Needs a, Needs b) { return Needs(a.bits_ | b.bits_); }
    friend bool operator==(Needs, Needs) = default;

  private:
    uint32_t bits_ = 0;
};

// What a tape keeps of an op's run, for its vjp. Chains: Saves().input(1).output(0).gates().
class Saves {
  public:
    Saves& input(int i) { return inputs_ |= 1u << i, *this; }
    Saves& output(int i) { return outputs_ |= 1u << i, *this; }
    Saves& gates() { return gates_ = true, *this; }
    Saves& input_if(bool wanted, int i) { return wanted ? input(i) : *this; }

    bool has_input(int i) const { return (inputs_ >> i) & 1u; }
    bool has_output(int i) const { return (outputs_ >> i) & 1u; }
    bool has_gates() const { return gates_; }

  private:
    uint32_t inputs_ = 0, outputs_ = 0;
    bool gates_ = false;
};

enum class SecondOrder {
    closed,    // the vjp consists of ops that keep this contract, so derivatives of any order come for free
    composed,  // the vjp is a fused op; that op's own vjp is composed of simpler ones
    none       // the vjp is opaque; a member `second_order_reason` says why
};

struct SavedTensor {
    Tensor tensor;
    uint64_t version = 0;
};

struct OpInfo;

// One run of an op as its vjp sees it. Tensors come out only if saves() asked for them, and only unchanged:
// TapeError when one was written to since.
struct Recorded {
    const OpInfo* op = nullptr;
    std::shared_ptr<const void> attributes;
    Needs wanted;  // by this tape
    Specs input_specs, output_specs;
    std::vector<SavedTensor> inputs, outputs, gates;  // undefined where not saved

    bool needs(int i) const { return wanted[i]; }
    const Tensor& input(int i) const { return read(inputs, i, "input"); }
    const Tensor& output(int i) const { return read(outputs, i, "output"); }
    const Tensor& gate(int i) const { return read(gates, i, "gate"); }

  private:
    const Tensor& read(const std::vector<SavedTensor>& saved, int i, const char* what) const;
};

struct SampleSet;  // autograd/samples.hpp

// An op with its types erased: what tapes, printers and the gradient checker work on.
struct OpInfo {
    std::string_view name, formula, kinks;
    std::string_view not_differentiable;  // empty: it is
    SecondOrder second_order = SecondOrder::closed;
    std::string_view second_order_reason;

    Specs (*shape_rule)(const void* attributes, const Specs& inputs) = nullptr;
    void (*forward)(const void* attributes, const Tensors& inputs, Tensors& outputs,
                    KernelContext&) = nullptr;
    Tensors (*view)(const void* attributes, const Tensors& inputs) = nullptr;         // or forward
    Specs (*gates)(const void* attributes, const Specs& inputs) = nullptr;            // may be null
    std::size_t (*workspace)(const void* attributes, const Specs& inputs) = nullptr;  // may be null
    int in_place = -1;                                                                // -1: none
    Saves (*saves)(const void* attributes, Needs) = nullptr;
    Tensors (*vjp)(const void* attributes, const Recorded&, const Tensors& g) = nullptr;

    std::string (*print)(const void* attributes) = nullptr;
    uint64_t (*hash)(const void* attributes) = nullptr;
    SampleSet (*samples)() = nullptr;
};

// The description of an op of the list. Each op's .cpp specialises it; there is no general definition.
template <class Op>
const OpInfo& op_info();

// Every op of the list, in its order.
const std::vector<const OpInfo*>& all_ops();

// Runs an op: checks, shapes, outputs, kernel, and a note on every tape that follows one of the inputs.
// Throws DeviceError when inputs live on different devices, and whatever the shape rule throws.
Tensors apply(const OpInfo& op, std::shared_ptr<const void> attributes, const Tensors& inputs);

// Sees every op that runs on this thread while an ObserveOps is in scope: for plans, profiles and traces.
class OpObserver {
  public:
    virtual ~OpObserver() = default;
    virtual void ran(const OpInfo& op, const std::shared_ptr<const void>& attributes, const Tensors& inputs,
                     const Tensors& outputs, const Tensors& gates) = 0;
};

class ObserveOps {
  public:
    explicit ObserveOps(OpObserver& observer);
    ~ObserveOps();
    ObserveOps(const ObserveOps&) = delete;
    ObserveOps& operator=(const ObserveOps&) = delete;
};

template <class Op>
Tensors apply(typename Op::Attributes attributes, const Tensors& inputs) {
    return apply(op_info<Op>(), std::make_shared<const typename Op::Attributes>(std::move(attributes)),
                 inputs);
}

}  // namespace microtome
