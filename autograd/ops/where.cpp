#include "autograd/ops/comparison.hpp"
#include "autograd/ops/elementwise_op.hpp"

namespace microtome {

struct op::Where {
    static constexpr std::string_view name = "where";
    static constexpr std::string_view formula = "y = a where condition is not 0, else b";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::closed;
    using Attributes = NoAttributes;

    static Specs shape_rule(const Attributes&, const Specs& in) {
        require_floating(name, in[0]);
        require_same_dtype(name, in);
        Shape values = kernels::broadcast_shape(name, in[1].shape, in[2].shape);
        return {{kernels::broadcast_shape(name, in[0].shape, values), in[0].dtype, in[0].device}};
    }
    static void forward(const Attributes&, const Tensors& in, Tensors& out, KernelContext& context) {
        kernels::ternary(kernels::Ternary::where, in[0], in[1], in[2], out[0], context);
    }
    static Saves saves(const Attributes&, Needs needs) { return Saves().input_if(needs[1] || needs[2], 0); }
    static Tensors vjp(const Attributes&, const Recorded& record, const Tensors& g) {
        Tensors d(3);
        if (record.needs(1)) d[1] = unbroadcast(where(record.input(0), g[0], 0.0), record, 1);
        if (record.needs(2)) d[2] = unbroadcast(where(record.input(0), 0.0, g[0]), record, 2);
        return d;
    }
    static void samples(Samples<Where>& s) {
        Tensor row = Tensor::of({0.0, 1.0, -2.0, 0.0, 0.5}, {5});
        s.add("a row of conditions", {}, {row, uniform({3, 5}), uniform({3, 5}, -1, 1, 2)}, {0});
        s.add("a choice for each row", {},
              {Tensor::of({0.0, 1.0}, {2, 1}), uniform({2, 3}), uniform({3}, -1, 1, 2)}, {0});
        s.add("scalars", {}, {row, uniform({}), uniform({}, -1, 1, 2)}, {0});
        s.add("empty", {}, {uniform({0, 3}), uniform({3}), uniform({0, 3})}, {0});
        s.kink("no gradient for the condition", {}, {row, uniform({5}), uniform({5}, -1, 1, 2)},
               {Tensor::of({1.0, 2.0, 3.0, 4.0, 5.0}, {5})},
               {Tensor::zeros({5}, Dtype::f64), Tensor::of({0.0, 2.0, 3.0, 0.0, 5.0}, {5}),
                Tensor::of({1.0, 0.0, 0.0, 4.0, 0.0}, {5})});
        s.fails("shapes that clash", {}, {f64({2}), f64({3}), f64({3})}, "shapes that broadcast");
        s.fails("types that differ", {}, {f64({2}), Spec{{2}, Dtype::f32, kCpu}, f64({2})}, "of one type");
        s.fails("integers", {}, {i64({2}), i64({2}), i64({2})}, "floating");
    }
};

template <>
const OpInfo& op_info<op::Where>() {
    return describe<op::Where>();
}

Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b) {
    return apply<op::Where>({}, {condition, a, b})[0];
}

}  // namespace microtome
