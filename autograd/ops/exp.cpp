#include "autograd/ops/elementwise.hpp"
#include "autograd/ops/elementwise_op.hpp"

namespace microtome {

struct op::Exp : UnaryOp<op::Exp, kernels::Unary::exp> {
    static constexpr std::string_view name = "exp";
    static constexpr std::string_view formula = "y = e^x";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::closed;

    static Saves saves(const Attributes&, Needs) { return Saves().output(0); }
    static Tensors vjp(const Attributes&, const Recorded& record, const Tensors& g) {
        return {g[0] * record.output(0)};
    }
    static void samples(Samples<Exp>& s) {
        s.add("any", {}, {uniform({3, 5}, -2, 2)});
        s.add("scalar", {}, {uniform({})});
        s.add("empty", {}, {uniform({0, 2})});
        tail_samples(s, -2, 2);
        s.extreme("tiny and huge", {}, {Tensor::of({-700.0, 1e-30, 700.0, -1e30}, {4})});
        s.fails("integers", {}, {i64({2})}, "floating");
    }
};

template <>
const OpInfo& op_info<op::Exp>() {
    return describe<op::Exp>();
}

Tensor exp(const Tensor& x) {
    return apply<op::Exp>({}, {x})[0];
}

}  // namespace microtome
