#include "autograd/ops/elementwise.hpp"
#include "autograd/ops/elementwise_op.hpp"

namespace microtome {

struct op::Round : UnaryOp<op::Round, kernels::Unary::round> {
    static constexpr std::string_view name = "round";
    static constexpr std::string_view formula = "y = the nearest integer, ties to the even one";
    static constexpr std::string_view not_differentiable =
        "the derivative is 0 wherever there is one; replace_gradient() gives it another";

    static void samples(Samples<Round>& s) {
        s.add("any", {}, {uniform({3, 5}, -3, 3)});
        s.add("empty", {}, {uniform({0, 2})});
        tail_samples(s, -3, 3);
        s.fails("integers", {}, {i64({2})}, "floating");
    }
};

template <>
const OpInfo& op_info<op::Round>() {
    return describe<op::Round>();
}

Tensor round(const Tensor& x) {
    return apply<op::Round>({}, {x})[0];
}

}  // namespace microtome
