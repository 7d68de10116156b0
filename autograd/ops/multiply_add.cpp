#include "autograd/ops/elementwise.hpp"
#include "autograd/ops/elementwise_op.hpp"

namespace microtome {

struct op::MultiplyAdd {
    static constexpr std::string_view name = "multiply_add";
    static constexpr std::string_view formula = "y = a b + c, rounded once";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::closed;
    using Attributes = NoAttributes;
    static constexpr int in_place = 0;

    static Specs shape_rule(const Attributes&, const Specs& in) {
        require_floating(name, in[0]);
        require_same_dtype(name, in);
        Shape product = kernels::broadcast_shape(name, in[0].shape, in[1].shape);
        return {{kernels::broadcast_shape(name, product, in[2].shape), in[0].dtype, in[0].device}};
    }
    static void forward(const Attributes&, const Tensors& in, Tensors& out, KernelContext& context) {
        kernels::ternary(kernels::Ternary::multiply_add, in[0], in[1], in[2], out[0], context);
    }
    static Saves saves(const Attributes&, Needs needs) {
        return Saves().input_if(needs[0], 1).input_if(needs[1], 0);
    }
    static Tensors vjp(const Attributes&, const Recorded& record, const Tensors& g) {
        Tensors d(3);
        if (record.needs(0)) d[0] = unbroadcast(g[0] * record.input(1), record, 0);
        if (record.needs(1)) d[1] = unbroadcast(g[0] * record.input(0), record, 1);
        if (record.needs(2)) d[2] = unbroadcast(g[0], record, 2);
        return d;
    }
    static void samples(Samples<MultiplyAdd>& s) {
        s.add("same shape", {}, {uniform({3, 5}), uniform({3, 5}, -1, 1, 2), uniform({3, 5}, -1, 1, 3)});
        s.add("a scale and a shift for each channel", {},
              {uniform({2, 2, 3}), uniform({3}, -1, 1, 2), uniform({3}, -1, 1, 3)});
        s.add("the sum is larger than the product", {},
              {uniform({3}), uniform({}, -1, 1, 2), uniform({2, 3}, -1, 1, 3)});
        s.add("empty", {}, {uniform({0, 3}), uniform({3}), uniform({3})});
        s.add_same("x x + x", {}, uniform({7}), 3);
        s.add("past two vectors", {}, {uniform({33}), uniform({33}, -1, 1, 2), uniform({33}, -1, 1, 3)});
        s.extreme("tiny and huge", {}, {far_apart(), flip(far_apart(), 0), far_apart()});
        s.fails("shapes that clash", {}, {f64({2}), f64({2}), f64({3})}, "shapes that broadcast");
        s.fails("types that differ", {}, {f64({2}), f64({2}), Spec{{2}, Dtype::f32, kCpu}}, "of one type");
    }
};

template <>
const OpInfo& op_info<op::MultiplyAdd>() {
    return describe<op::MultiplyAdd>();
}

Tensor multiply_add(const Tensor& a, const Tensor& b, const Tensor& c) {
    return apply<op::MultiplyAdd>({}, {a, b, c})[0];
}

}  // namespace microtome
