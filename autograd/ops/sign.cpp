#include "autograd/ops/elementwise.hpp"
#include "autograd/ops/elementwise_op.hpp"

namespace microtome {

struct op::Sign : UnaryOp<op::Sign, kernels::Unary::sign> {
    static constexpr std::string_view name = "sign";
    static constexpr std::string_view formula = "y = -1, 0 or 1 as x is below, at or above 0";
    static constexpr std::string_view not_differentiable = "the derivative is 0 wherever there is one";

    static void samples(Samples<Sign>& s) {
        s.add("any", {}, {uniform({3, 5}, -3, 3)});
        s.add("empty", {}, {uniform({0, 2})});
        tail_samples(s, -3, 3);
        s.fails("integers", {}, {i64({2})}, "floating");
    }
};

template <>
const OpInfo& op_info<op::Sign>() {
    return describe<op::Sign>();
}

Tensor sign(const Tensor& x) {
    return apply<op::Sign>({}, {x})[0];
}

}  // namespace microtome
