#include "autograd/ops/extreme_op.hpp"

namespace microtome {

struct op::Argmin : ArgExtremeOp<op::Argmin, kernels::arg_min> {
    static constexpr std::string_view name = "argmin";
    static constexpr std::string_view formula = "y = the index of the smallest of x along an axis";
};

template <>
const OpInfo& op_info<op::Argmin>() {
    return describe<op::Argmin>();
}

Tensor argmin(const Tensor& x, int axis, Axes after) {
    axis = x.shape().normalize(axis);
    return after_extreme(apply<op::Argmin>({axis}, {x})[0], axis, after);
}

}  // namespace microtome
