// An op that keeps the contract. Compiles; the ones beside it must not.
#include "autograd/describe.hpp"

using namespace microtome;

struct WholeOp {
    static constexpr std::string_view name = "whole";
    static constexpr std::string_view formula = "y = x";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::closed;
    using Attributes = NoAttributes;
    static Specs shape_rule(const Attributes&, const Specs& in) { return {in[0]}; }
    static void forward(const Attributes&, const Tensors&, Tensors&, KernelContext&) {}
    static Saves saves(const Attributes&, Needs) { return {}; }
    static Tensors vjp(const Attributes&, const Recorded&, const Tensors& g) { return g; }
    static void samples(Samples<WholeOp>&) {}
};

const OpInfo& whole() {
    return user_op<WholeOp>();
}
