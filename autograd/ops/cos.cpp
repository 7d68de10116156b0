#include "autograd/ops/elementwise.hpp"
#include "autograd/ops/elementwise_op.hpp"

namespace microtome {

struct op::Cos : UnaryOp<op::Cos, kernels::Unary::cos> {
    static constexpr std::string_view name = "cos";
    static constexpr std::string_view formula = "y = cos(x)";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::closed;

    static Saves saves(const Attributes&, Needs) { return Saves().input(0); }
    static Tensors vjp(const Attributes&, const Recorded& record, const Tensors& g) {
        return {-(g[0] * sin(record.input(0)))};
    }
    static void samples(Samples<Cos>& s) {
        s.add("any", {}, {uniform({3, 5}, -7, 7)});
        s.add("empty", {}, {uniform({0, 2})});
        tail_samples(s, -7, 7);
        s.fails("integers", {}, {i64({2})}, "floating");
    }
};

template <>
const OpInfo& op_info<op::Cos>() {
    return describe<op::Cos>();
}

Tensor cos(const Tensor& x) {
    return apply<op::Cos>({}, {x})[0];
}

}  // namespace microtome
