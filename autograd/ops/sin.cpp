#include "autograd/ops/elementwise.hpp"
#include "autograd/ops/elementwise_op.hpp"

namespace microtome {

struct op::Sin : UnaryOp<op::Sin, kernels::Unary::sin> {
    static constexpr std::string_view name = "sin";
    static constexpr std::string_view formula = "y = sin(x)";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::closed;

    static Saves saves(const Attributes&, Needs) { return Saves().input(0); }
    static Tensors vjp(const Attributes&, const Recorded& record, const Tensors& g) {
        return {g[0] * cos(record.input(0))};
    }
    static void samples(Samples<Sin>& s) {
        s.add("any", {}, {uniform({3, 5}, -7, 7)});
        s.add("empty", {}, {uniform({0, 2})});
        tail_samples(s, -7, 7);
        s.fails("integers", {}, {i64({2})}, "floating");
    }
};

template <>
const OpInfo& op_info<op::Sin>() {
    return describe<op::Sin>();
}

Tensor sin(const Tensor& x) {
    return apply<op::Sin>({}, {x})[0];
}

}  // namespace microtome
