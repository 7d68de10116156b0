#include "autograd/describe.hpp"
#include "autograd/ops/shaping.hpp"
#include "tensor/kernels/layout.hpp"

namespace microtome {

struct op::Flip {
    static constexpr std::string_view name = "flip";
    static constexpr std::string_view formula = "y[.., i, ..] = x[.., size - 1 - i, ..]";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::closed;
    struct Attributes {
        int axis = 0;
        void each(auto&& field) const { field("axis", axis); }
    };

    static Specs shape_rule(const Attributes& a, const Specs& in) {
        in[0].shape.normalize(a.axis);
        return {in[0]};
    }
    static void forward(const Attributes& a, const Tensors& in, Tensors& out, KernelContext& context) {
        kernels::flip(in[0], a.axis, out[0], context);
    }
    static Saves saves(const Attributes&, Needs) { return {}; }
    static Tensors vjp(const Attributes& a, const Recorded&, const Tensors& g) {
        return {flip(g[0], a.axis)};
    }
    static void samples(Samples<Flip>& s) {
        s.add("left to right", {2}, {uniform({2, 2, 3, 2})});
        s.add("upside down", {0}, {uniform({5, 3})});
        s.add("the last axis", {1}, {uniform({2, 7})});
        s.add("nothing", {0}, {uniform({0, 3})});
        s.fails("no such axis", {2}, {f64({2, 3})}, "expected an axis");
    }
};

template <>
const OpInfo& op_info<op::Flip>() {
    return describe<op::Flip>();
}

Tensor flip(const Tensor& x, int axis) {
    return apply<op::Flip>({x.shape().normalize(axis)}, {x})[0];
}

}  // namespace microtome
