#include "autograd/ops/elementwise.hpp"
#include "autograd/ops/elementwise_op.hpp"

namespace microtome {

struct op::GeluTanh : UnaryOp<op::GeluTanh, kernels::Unary::gelu_tanh> {
    static constexpr std::string_view name = "gelu_tanh";
    static constexpr std::string_view formula = "y = x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::closed;

    static Saves saves(const Attributes&, Needs) { return Saves().input(0); }
    static Tensors vjp(const Attributes&, const Recorded& record, const Tensors& g) {
        return {g[0] * gelu_tanh_derivative(record.input(0))};
    }
    static void samples(Samples<GeluTanh>& s) {
        s.add("any", {}, {uniform({3, 5}, -3, 3)});
        s.add("zero", {}, {Tensor::zeros({1}, Dtype::f64)});
        s.add("empty", {}, {uniform({0, 2})});
        tail_samples(s, -3, 3);
        s.extreme("tiny and huge", {}, {far_apart()});
        s.fails("integers", {}, {i64({2})}, "floating");
    }
};

template <>
const OpInfo& op_info<op::GeluTanh>() {
    return describe<op::GeluTanh>();
}

Tensor gelu_tanh(const Tensor& x) {
    return apply<op::GeluTanh>({}, {x})[0];
}

}  // namespace microtome
