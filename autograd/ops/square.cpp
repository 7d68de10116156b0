#include "autograd/ops/elementwise.hpp"
#include "autograd/ops/elementwise_op.hpp"

namespace microtome {

struct op::Square : UnaryOp<op::Square, kernels::Unary::square> {
    static constexpr std::string_view name = "square";
    static constexpr std::string_view formula = "y = x^2";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::closed;

    static Saves saves(const Attributes&, Needs) { return Saves().input(0); }
    static Tensors vjp(const Attributes&, const Recorded& record, const Tensors& g) {
        return {g[0] * record.input(0) * 2.0};
    }
    static void samples(Samples<Square>& s) {
        s.add("any", {}, {uniform({3, 5})});
        s.add("zero", {}, {Tensor::zeros({2}, Dtype::f64)});
        s.add("empty", {}, {uniform({0, 2})});
        tail_samples(s, -1, 1);
        s.extreme("tiny and huge", {}, {far_apart()});
        s.fails("integers", {}, {i64({2})}, "floating");
    }
};

template <>
const OpInfo& op_info<op::Square>() {
    return describe<op::Square>();
}

Tensor square(const Tensor& x) {
    return apply<op::Square>({}, {x})[0];
}

}  // namespace microtome
