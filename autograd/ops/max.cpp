#include "autograd/ops/extreme_op.hpp"

namespace microtome {

struct op::Max : ExtremeOp<op::Max, kernels::arg_max, kernels::Reduction::max> {
    static constexpr std::string_view name = "max";
    static constexpr std::string_view formula = "y = the largest of x along an axis";
};

template <>
const OpInfo& op_info<op::Max>() {
    return describe<op::Max>();
}

Tensor max(const Tensor& x, int axis, Axes after) {
    axis = x.shape().normalize(axis);
    return after_extreme(apply<op::Max>({axis}, {x})[0], axis, after);
}

Tensor max(const Tensor& x) {
    return max(reshape(x, Shape{x.elements()}), 0);
}

}  // namespace microtome
