#include "autograd/ops/elementwise.hpp"
#include "autograd/ops/elementwise_op.hpp"

namespace microtome {

struct op::Sigmoid : UnaryOp<op::Sigmoid, kernels::Unary::sigmoid> {
    static constexpr std::string_view name = "sigmoid";
    static constexpr std::string_view formula = "y = 1 / (1 + e^-x)";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::closed;

    static Saves saves(const Attributes&, Needs) { return Saves().output(0); }
    static Tensors vjp(const Attributes&, const Recorded& record, const Tensors& g) {
        const Tensor& y = record.output(0);
        return {g[0] * y * (1.0 - y)};
    }
    static void samples(Samples<Sigmoid>& s) {
        s.add("any", {}, {uniform({3, 5}, -4, 4)});
        s.add("zero", {}, {Tensor::zeros({1}, Dtype::f64)});
        s.add("empty", {}, {uniform({0, 2})});
        tail_samples(s, -4, 4);
        s.extreme("tiny and huge", {}, {far_apart()});
        s.fails("integers", {}, {i64({2})}, "floating");
    }
};

template <>
const OpInfo& op_info<op::Sigmoid>() {
    return describe<op::Sigmoid>();
}

Tensor sigmoid(const Tensor& x) {
    return apply<op::Sigmoid>({}, {x})[0];
}

}  // namespace microtome
