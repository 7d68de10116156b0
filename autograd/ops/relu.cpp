#include "autograd/ops/elementwise.hpp"
#include "autograd/ops/elementwise_op.hpp"

namespace microtome {

struct op::Relu {
    static constexpr std::string_view name = "relu";
    static constexpr std::string_view formula = "y = max(x, 0)";
    static constexpr std::string_view kinks = "x = 0: the derivative is 0";
    static constexpr SecondOrder second_order = SecondOrder::closed;
    using Attributes = NoAttributes;
    static constexpr int in_place = 0;

    static Specs shape_rule(const Attributes&, const Specs& in) {
        require_floating(name, in[0]);
        return {in[0]};
    }
    // The derivative needs to know where x > 0 and nothing else: a bit where a float was.
    static Specs gates(const Attributes&, const Specs& in) { return {gate_spec(in[0])}; }
    static void forward(const Attributes&, const Tensors& in, Tensors& out, KernelContext& context) {
        if (out.size() > 1)
            kernels::relu_gate(in[0], out[0], out[1], context);
        else
            kernels::unary(kernels::Unary::relu, in[0], out[0], context);
    }
    static Saves saves(const Attributes&, Needs) { return Saves().gates(); }
    static Tensors vjp(const Attributes&, const Recorded& record, const Tensors& g) {
        return {apply_gate(g[0], record.gate(0))};
    }
    static void samples(Samples<Relu>& s) {
        s.add("any", {}, {away_from_zero({3, 5})});
        s.add("a byte and a bit", {}, {away_from_zero({9})});
        s.add("empty", {}, {uniform({0, 2})});
        s.kink("x = 0", {}, {Tensor::of({0.0, -0.0, 1.0}, {3})}, {Tensor::of({5.0, 6.0, 7.0}, {3})},
               {Tensor::of({0.0, 0.0, 7.0}, {3})});
        tail_samples(s,
                     [](const Shape& shape, uint64_t seed) { return away_from_zero(shape, 0.1, 1, seed); });
        s.extreme("tiny and huge", {}, {far_apart()});
        s.fails("integers", {}, {i64({2})}, "floating");
    }
};

template <>
const OpInfo& op_info<op::Relu>() {
    return describe<op::Relu>();
}

Tensor relu(const Tensor& x) {
    return apply<op::Relu>({}, {x})[0];
}

}  // namespace microtome
