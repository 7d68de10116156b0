#include "autograd/ops/elementwise_op.hpp"

namespace microtome {

struct op::Multiply : BinaryOp<op::Multiply, kernels::Binary::multiply> {
    static constexpr std::string_view name = "multiply";
    static constexpr std::string_view formula = "y = a b";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::closed;

    static Saves saves(const Attributes&, Needs needs) {
        return Saves().input_if(needs[0], 1).input_if(needs[1], 0);
    }
    static Tensors vjp(const Attributes&, const Recorded& record, const Tensors& g) {
        Tensors d(2);
        if (record.needs(0)) d[0] = unbroadcast(g[0] * record.input(1), record, 0);
        if (record.needs(1)) d[1] = unbroadcast(g[0] * record.input(0), record, 1);
        return d;
    }
    static void samples(Samples<Multiply>& s) {
        auto any = [](const Shape& shape, uint64_t seed) { return uniform(shape, -1, 1, seed); };
        broadcasting_samples(s, any, any);
        s.add_same("x * x", {}, uniform({7}), 2);
        s.extreme("tiny and huge", {}, {far_apart(), flip(far_apart(), 0)});
    }
};

template <>
const OpInfo& op_info<op::Multiply>() {
    return describe<op::Multiply>();
}

Tensor multiply(const Tensor& a, const Tensor& b) {
    return apply<op::Multiply>({}, {a, b})[0];
}

}  // namespace microtome
