#include "autograd/ops/elementwise.hpp"
#include "autograd/ops/elementwise_op.hpp"

namespace microtome {

struct op::ApplyGate {
    static constexpr std::string_view name = "apply_gate";
    static constexpr std::string_view formula = "y = x where the gate is open, else 0";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::closed;
    using Attributes = NoAttributes;
    static constexpr int in_place = 0;

    static Specs shape_rule(const Attributes&, const Specs& in) {
        require_floating(name, in[0]);
        if (!(in[1] == gate_spec(in[0])))
            throw ShapeError(name,
                             str("expected a gate ", gate_spec(in[0]), " for ", in[0], ", got ", in[1]));
        return {in[0]};
    }
    static void forward(const Attributes&, const Tensors& in, Tensors& out, KernelContext& context) {
        kernels::apply_gate(in[0], in[1], out[0], context);
    }
    static Saves saves(const Attributes&, Needs) { return Saves().input(1); }
    static Tensors vjp(const Attributes&, const Recorded& record, const Tensors& g) {
        return {apply_gate(g[0], record.input(1))};
    }
    static void samples(Samples<ApplyGate>& s) {
        s.add("any", {}, {uniform({3, 5}), Tensor::of<uint8_t>({0xa5, 0x3c}, {2})});
        s.add("all shut", {}, {uniform({8}), Tensor::of<uint8_t>({0}, {1})});
        s.add("empty", {}, {uniform({0}), Tensor::of<uint8_t>({}, {0})});
        for (int64_t size : kTailSizes)
            s.add(str("elements: ", size), {},
                  {uniform({size}), Tensor::full({(size + 7) / 8}, 0x69, Dtype::u8)});
        s.extreme("tiny and huge", {}, {far_apart(), Tensor::of<uint8_t>({0x5a}, {1})});
        s.fails("a gate too small", {}, {f64({9}), Spec{{1}, Dtype::u8, kCpu}}, "expected a gate u8(2)");
    }
};

template <>
const OpInfo& op_info<op::ApplyGate>() {
    return describe<op::ApplyGate>();
}

Tensor apply_gate(const Tensor& x, const Tensor& gate) {
    return apply<op::ApplyGate>({}, {x, gate})[0];
}

}  // namespace microtome
