#include "autograd/ops/elementwise.hpp"
#include "autograd/ops/elementwise_op.hpp"

namespace microtome {

struct op::GeluTanhDerivative : UnaryOp<op::GeluTanhDerivative, kernels::Unary::gelu_tanh_derivative> {
    static constexpr std::string_view name = "gelu_tanh_derivative";
    static constexpr std::string_view formula =
        "y = (1 + t) / 2 + x (1 - t^2) u' / 2, t = tanh(u), u = sqrt(2 / pi) (x + 0.044715 x^3)";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::closed;

    static Saves saves(const Attributes&, Needs) { return Saves().input(0); }
    static Tensors vjp(const Attributes&, const Recorded& record, const Tensors& g) {
        // With t' = (1 - t^2) u':  y' = (1 - t^2) (u' + x u'' / 2 - x t u'^2).
        constexpr double root_two_over_pi = 0.7978845608028654, cubic = 0.044715;
        const Tensor& x = record.input(0);
        Tensor x2 = square(x);
        Tensor t = tanh(root_two_over_pi * x * (1.0 + cubic * x2));
        Tensor u1 = root_two_over_pi * (1.0 + 3 * cubic * x2);
        Tensor half_u2 = 3 * cubic * root_two_over_pi * x;
        return {g[0] * (1.0 - square(t)) * (u1 + x * half_u2 - x * t * square(u1))};
    }
    static void samples(Samples<GeluTanhDerivative>& s) {
        s.add("any", {}, {uniform({3, 5}, -3, 3)});
        s.add("zero", {}, {Tensor::zeros({1}, Dtype::f64)});
        s.add("empty", {}, {uniform({0, 2})});
        tail_samples(s, -3, 3);
        s.extreme("tiny and huge", {}, {far_apart()});
        s.fails("integers", {}, {i64({2})}, "floating");
    }
};

template <>
const OpInfo& op_info<op::GeluTanhDerivative>() {
    return describe<op::GeluTanhDerivative>();
}

Tensor gelu_tanh_derivative(const Tensor& x) {
    return apply<op::GeluTanhDerivative>({}, {x})[0];
}

}  // namespace microtome
