#include "autograd/ops/extreme_op.hpp"

namespace microtome {

struct op::Argmax : ArgExtremeOp<op::Argmax, kernels::arg_max> {
    static constexpr std::string_view name = "argmax";
    static constexpr std::string_view formula = "y = the index of the largest of x along an axis";
};

template <>
const OpInfo& op_info<op::Argmax>() {
    return describe<op::Argmax>();
}

Tensor argmax(const Tensor& x, int axis, Axes after) {
    axis = x.shape().normalize(axis);
    return after_extreme(apply<op::Argmax>({axis}, {x})[0], axis, after);
}

}  // namespace microtome
