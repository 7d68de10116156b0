#include "autograd/describe.hpp"
#include "autograd/ops/control.hpp"

namespace microtome {

struct op::StopGradient {
    static constexpr std::string_view name = "stop_gradient";
    static constexpr std::string_view formula = "y = x, a constant from here on";
    static constexpr std::string_view not_differentiable = "stopping the gradient is its purpose";
    using Attributes = NoAttributes;

    static Specs shape_rule(const Attributes&, const Specs& in) { return {in[0]}; }
    static Tensors view(const Attributes&, const Tensors& in) { return {in[0].view(in[0].shape())}; }
    static void samples(Samples<StopGradient>& s) { s.add("any", {}, {uniform({3})}); }
};

template <>
const OpInfo& op_info<op::StopGradient>() {
    return describe<op::StopGradient>();
}

Tensor stop_gradient(const Tensor& x) {
    return apply<op::StopGradient>({}, {x})[0];
}

}  // namespace microtome
