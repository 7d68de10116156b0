#include "autograd/ops/comparison.hpp"
#include "autograd/ops/elementwise_op.hpp"

namespace microtome {

struct op::Less : BinaryOp<op::Less, kernels::Binary::less> {
    static constexpr std::string_view name = "less";
    static constexpr std::string_view formula = "y = 1 where a < b, else 0";
    static constexpr std::string_view not_differentiable = "a comparison jumps, and is constant in between";

    static void samples(Samples<Less>& s) {
        auto any = [](const Shape& shape, uint64_t seed) { return uniform(shape, -1, 1, seed); };
        broadcasting_samples(s, any, any);
    }
};

template <>
const OpInfo& op_info<op::Less>() {
    return describe<op::Less>();
}

Tensor less(const Tensor& a, const Tensor& b) {
    return apply<op::Less>({}, {a, b})[0];
}

}  // namespace microtome
