#include "autograd/ops/elementwise.hpp"
#include "autograd/ops/elementwise_op.hpp"

namespace microtome {

struct op::GeluDerivative : UnaryOp<op::GeluDerivative, kernels::Unary::gelu_derivative> {
    static constexpr std::string_view name = "gelu_derivative";
    static constexpr std::string_view formula = "y = Phi(x) + x phi(x), phi the normal density";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::closed;

    static Saves saves(const Attributes&, Needs) { return Saves().input(0); }
    static Tensors vjp(const Attributes&, const Recorded& record, const Tensors& g) {
        // phi'(x) = -x phi(x), so y' = phi(x) (2 - x^2).
        constexpr double one_over_root_two_pi = 0.3989422804014327;
        Tensor x2 = square(record.input(0));
        return {g[0] * exp(x2 * -0.5) * (2.0 - x2) * one_over_root_two_pi};
    }
    static void samples(Samples<GeluDerivative>& s) {
        s.add("any", {}, {uniform({3, 5}, -3, 3)});
        s.add("zero", {}, {Tensor::zeros({1}, Dtype::f64)});
        s.add("empty", {}, {uniform({0, 2})});
        tail_samples(s, -3, 3);
        s.extreme("tiny and huge", {}, {far_apart()});
        s.fails("integers", {}, {i64({2})}, "floating");
    }
};

template <>
const OpInfo& op_info<op::GeluDerivative>() {
    return describe<op::GeluDerivative>();
}

Tensor gelu_derivative(const Tensor& x) {
    return apply<op::GeluDerivative>({}, {x})[0];
}

}  // namespace microtome
