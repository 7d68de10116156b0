#include "autograd/ops/elementwise_op.hpp"

namespace microtome {

struct op::Negate : UnaryOp<op::Negate, kernels::Unary::negate> {
    static constexpr std::string_view name = "negate";
    static constexpr std::string_view formula = "y = -x";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::closed;

    static Saves saves(const Attributes&, Needs) { return {}; }
    static Tensors vjp(const Attributes&, const Recorded&, const Tensors& g) { return {-g[0]}; }
    static void samples(Samples<Negate>& s) {
        s.add("any", {}, {uniform({3, 5})});
        s.add("empty", {}, {uniform({0})});
        tail_samples(s, -1, 1);
        s.extreme("tiny and huge", {}, {far_apart()});
        s.fails("integers", {}, {i64({2})}, "floating");
    }
};

template <>
const OpInfo& op_info<op::Negate>() {
    return describe<op::Negate>();
}

Tensor negate(const Tensor& x) {
    return apply<op::Negate>({}, {x})[0];
}

}  // namespace microtome
