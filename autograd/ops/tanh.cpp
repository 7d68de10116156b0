#include "autograd/ops/elementwise.hpp"
#include "autograd/ops/elementwise_op.hpp"

namespace microtome {

struct op::Tanh : UnaryOp<op::Tanh, kernels::Unary::tanh> {
    static constexpr std::string_view name = "tanh";
    static constexpr std::string_view formula = "y = tanh(x)";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::closed;

    static Saves saves(const Attributes&, Needs) { return Saves().output(0); }
    static Tensors vjp(const Attributes&, const Recorded& record, const Tensors& g) {
        return {g[0] * (1.0 - square(record.output(0)))};
    }
    static void samples(Samples<Tanh>& s) {
        s.add("any", {}, {uniform({3, 5}, -2, 2)});
        s.add("zero", {}, {Tensor::zeros({1}, Dtype::f64)});
        s.add("empty", {}, {uniform({0, 2})});
        tail_samples(s, -2, 2);
        s.extreme("tiny and huge", {}, {far_apart()});
        s.fails("integers", {}, {i64({2})}, "floating");
    }
};

template <>
const OpInfo& op_info<op::Tanh>() {
    return describe<op::Tanh>();
}

Tensor tanh(const Tensor& x) {
    return apply<op::Tanh>({}, {x})[0];
}

}  // namespace microtome
