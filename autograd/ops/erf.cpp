#include "autograd/ops/elementwise.hpp"
#include "autograd/ops/elementwise_op.hpp"

namespace microtome {

struct op::Erf : UnaryOp<op::Erf, kernels::Unary::erf> {
    static constexpr std::string_view name = "erf";
    static constexpr std::string_view formula = "y = 2 / sqrt(pi) * integral of e^(-t^2) from 0 to x";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::closed;

    static Saves saves(const Attributes&, Needs) { return Saves().input(0); }
    static Tensors vjp(const Attributes&, const Recorded& record, const Tensors& g) {
        constexpr double two_over_root_pi = 1.1283791670955126;
        return {g[0] * exp(-square(record.input(0))) * two_over_root_pi};
    }
    static void samples(Samples<Erf>& s) {
        s.add("any", {}, {uniform({3, 5}, -3, 3)});
        s.add("zero", {}, {Tensor::zeros({1}, Dtype::f64)});
        s.add("empty", {}, {uniform({0, 2})});
        tail_samples(s, -3, 3);
        s.extreme("tiny and huge", {}, {far_apart()});
        s.fails("integers", {}, {i64({2})}, "floating");
    }
};

template <>
const OpInfo& op_info<op::Erf>() {
    return describe<op::Erf>();
}

Tensor erf(const Tensor& x) {
    return apply<op::Erf>({}, {x})[0];
}

}  // namespace microtome
