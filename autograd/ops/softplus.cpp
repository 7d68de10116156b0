#include "autograd/ops/elementwise.hpp"
#include "autograd/ops/elementwise_op.hpp"

namespace microtome {

struct op::Softplus : UnaryOp<op::Softplus, kernels::Unary::softplus> {
    static constexpr std::string_view name = "softplus";
    static constexpr std::string_view formula = "y = log(1 + e^x)";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::closed;

    static Saves saves(const Attributes&, Needs) { return Saves().input(0); }
    static Tensors vjp(const Attributes&, const Recorded& record, const Tensors& g) {
        return {g[0] * sigmoid(record.input(0))};
    }
    static void samples(Samples<Softplus>& s) {
        s.add("any", {}, {uniform({3, 5}, -4, 4)});
        s.add("zero", {}, {Tensor::zeros({1}, Dtype::f64)});
        s.add("empty", {}, {uniform({0, 2})});
        tail_samples(s, -4, 4);
        s.extreme("tiny and huge", {}, {far_apart()});
        s.fails("integers", {}, {i64({2})}, "floating");
    }
};

template <>
const OpInfo& op_info<op::Softplus>() {
    return describe<op::Softplus>();
}

Tensor softplus(const Tensor& x) {
    return apply<op::Softplus>({}, {x})[0];
}

}  // namespace microtome
