#include "autograd/ops/elementwise.hpp"
#include "autograd/ops/elementwise_op.hpp"

namespace microtome {

struct op::Relu6 {
    static constexpr std::string_view name = "relu6";
    static constexpr std::string_view formula = "y = min(max(x, 0), 6)";
    static constexpr std::string_view kinks = "x = 0 and x = 6: the derivative is 0";
    static constexpr SecondOrder second_order = SecondOrder::closed;
    using Attributes = NoAttributes;
    static constexpr int in_place = 0;

    static Specs shape_rule(const Attributes&, const Specs& in) {
        require_floating(name, in[0]);
        return {in[0]};
    }
    static Specs gates(const Attributes&, const Specs& in) { return {gate_spec(in[0])}; }
    static void forward(const Attributes&, const Tensors& in, Tensors& out, KernelContext& context) {
        if (out.size() > 1)
            kernels::range_gate(in[0], 0, 6, out[0], out[1], context);
        else
            kernels::unary(kernels::Unary::relu6, in[0], out[0], context);
    }
    static Saves saves(const Attributes&, Needs) { return Saves().gates(); }
    static Tensors vjp(const Attributes&, const Recorded& record, const Tensors& g) {
        return {apply_gate(g[0], record.gate(0))};
    }
    static void samples(Samples<Relu6>& s) {
        s.add("inside and out", {}, {Tensor::of({-1.0, -0.1, 0.1, 3.0, 5.9, 6.1, 7.0, 2.0, 9.0}, {3, 3})});
        s.add("empty", {}, {uniform({0, 2})});
        s.kink("x = 0 and x = 6", {}, {Tensor::of({0.0, -0.0, 1.0, 6.0}, {4})},
               {Tensor::of({5.0, 6.0, 7.0, 8.0}, {4})}, {Tensor::of({0.0, 0.0, 7.0, 0.0}, {4})});
        tail_samples(s,
                     [](const Shape& shape, uint64_t seed) { return away_from_zero(shape, 0.1, 5, seed); });
        s.extreme("tiny and huge", {}, {far_apart()});
        s.fails("integers", {}, {i64({2})}, "floating");
    }
};

template <>
const OpInfo& op_info<op::Relu6>() {
    return describe<op::Relu6>();
}

Tensor relu6(const Tensor& x) {
    return apply<op::Relu6>({}, {x})[0];
}

}  // namespace microtome
