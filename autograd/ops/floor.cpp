#include "autograd/ops/elementwise.hpp"
#include "autograd/ops/elementwise_op.hpp"

namespace microtome {

struct op::Floor : UnaryOp<op::Floor, kernels::Unary::floor> {
    static constexpr std::string_view name = "floor";
    static constexpr std::string_view formula = "y = the largest integer not above x";
    static constexpr std::string_view not_differentiable = "the derivative is 0 wherever there is one";

    static void samples(Samples<Floor>& s) {
        s.add("any", {}, {uniform({3, 5}, -3, 3)});
        s.add("empty", {}, {uniform({0, 2})});
        tail_samples(s, -3, 3);
        s.fails("integers", {}, {i64({2})}, "floating");
    }
};

template <>
const OpInfo& op_info<op::Floor>() {
    return describe<op::Floor>();
}

Tensor floor(const Tensor& x) {
    return apply<op::Floor>({}, {x})[0];
}

}  // namespace microtome
