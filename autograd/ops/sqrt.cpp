#include "autograd/ops/elementwise.hpp"
#include "autograd/ops/elementwise_op.hpp"

#include <limits>

namespace microtome {

struct op::Sqrt : UnaryOp<op::Sqrt, kernels::Unary::sqrt> {
    static constexpr std::string_view name = "sqrt";
    static constexpr std::string_view formula = "y = sqrt(x)";
    static constexpr std::string_view kinks = "x = 0: the derivative is infinite";
    static constexpr SecondOrder second_order = SecondOrder::closed;

    static Saves saves(const Attributes&, Needs) { return Saves().output(0); }
    static Tensors vjp(const Attributes&, const Recorded& record, const Tensors& g) {
        return {g[0] * 0.5 / record.output(0)};
    }
    static void samples(Samples<Sqrt>& s) {
        s.add("any", {}, {uniform({3, 5}, 0.5, 2)});
        s.add("scalar", {}, {uniform({}, 0.5, 2)});
        s.kink("x = 0", {}, {Tensor::of({0.0, 4.0}, {2})}, {Tensor::of({1.0, 1.0}, {2})},
               {Tensor::of({std::numeric_limits<double>::infinity(), 0.25}, {2})});
        s.add("empty", {}, {uniform({0, 2})});
        tail_samples(s, 0.5, 2);
        s.extreme("tiny and huge", {}, {far_apart(false)});
        s.fails("integers", {}, {i64({2})}, "floating");
    }
};

template <>
const OpInfo& op_info<op::Sqrt>() {
    return describe<op::Sqrt>();
}

Tensor sqrt(const Tensor& x) {
    return apply<op::Sqrt>({}, {x})[0];
}

}  // namespace microtome
