#include "autograd/ops/extreme_op.hpp"

namespace microtome {

struct op::Min : ExtremeOp<op::Min, kernels::arg_min, kernels::Reduction::min> {
    static constexpr std::string_view name = "min";
    static constexpr std::string_view formula = "y = the smallest of x along an axis";
};

template <>
const OpInfo& op_info<op::Min>() {
    return describe<op::Min>();
}

Tensor min(const Tensor& x, int axis, Axes after) {
    axis = x.shape().normalize(axis);
    return after_extreme(apply<op::Min>({axis}, {x})[0], axis, after);
}

Tensor min(const Tensor& x) {
    return min(reshape(x, Shape{x.elements()}), 0);
}

}  // namespace microtome
