#include "autograd/ops/elementwise_op.hpp"

namespace microtome {

struct op::Divide : BinaryOp<op::Divide, kernels::Binary::divide> {
    static constexpr std::string_view name = "divide";
    static constexpr std::string_view formula = "y = a / b";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::closed;

    static Saves saves(const Attributes&, Needs needs) { return Saves().input(1).input_if(needs[1], 0); }
    static Tensors vjp(const Attributes&, const Recorded& record, const Tensors& g) {
        const Tensor& b = record.input(1);
        Tensors d(2);
        if (record.needs(0)) d[0] = unbroadcast(g[0] / b, record, 0);
        if (record.needs(1)) d[1] = -unbroadcast(g[0] * record.input(0) / (b * b), record, 1);
        return d;
    }
    static void samples(Samples<Divide>& s) {
        broadcasting_samples(
            s, [](const Shape& shape, uint64_t seed) { return uniform(shape, -1, 1, seed); },
            [](const Shape& shape, uint64_t seed) { return away_from_zero(shape, 0.5, 2, seed); });
        s.add_same("x / x", {}, away_from_zero({7}, 0.5, 2), 2);
        s.extreme("tiny and huge", {}, {far_apart(), flip(far_apart(), 0)});
    }
};

template <>
const OpInfo& op_info<op::Divide>() {
    return describe<op::Divide>();
}

Tensor divide(const Tensor& a, const Tensor& b) {
    return apply<op::Divide>({}, {a, b})[0];
}

}  // namespace microtome
