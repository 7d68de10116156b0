#include "autograd/ops/comparison.hpp"
#include "autograd/ops/elementwise_op.hpp"

namespace microtome {

struct op::NotEqual : BinaryOp<op::NotEqual, kernels::Binary::not_equal> {
    static constexpr std::string_view name = "not_equal";
    static constexpr std::string_view formula = "y = 1 where a and b differ, else 0";
    static constexpr std::string_view not_differentiable = "a comparison jumps, and is constant in between";

    static void samples(Samples<NotEqual>& s) {
        auto any = [](const Shape& shape, uint64_t seed) { return uniform(shape, -1, 1, seed); };
        broadcasting_samples(s, any, any);
    }
};

template <>
const OpInfo& op_info<op::NotEqual>() {
    return describe<op::NotEqual>();
}

Tensor not_equal(const Tensor& a, const Tensor& b) {
    return apply<op::NotEqual>({}, {a, b})[0];
}

}  // namespace microtome
