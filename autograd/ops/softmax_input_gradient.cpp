#include "autograd/ops/row_op.hpp"
#include "autograd/ops/softmax.hpp"
#include "tensor/kernels/rows.hpp"

namespace microtome {

struct op::SoftmaxInputGradient {
    static constexpr std::string_view name = "softmax_input_gradient";
    static constexpr std::string_view formula = "x = y (g - sum of g y over the last axis)";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::closed;
    using Attributes = NoAttributes;

    static Specs shape_rule(const Attributes&, const Specs& in) {
        require_rows(name, in[0]);
        if (!(in[0] == in[1]))
            throw ShapeError(name,
                             str("expected g and y of one shape and type, got ", in[0], " and ", in[1]));
        return {in[0]};
    }
    static void forward(const Attributes&, const Tensors& in, Tensors& out, KernelContext& context) {
        kernels::softmax_input_gradient(in[0], in[1], out[0], context);
    }
    static Saves saves(const Attributes&, Needs needs) { return Saves().input(1).input_if(needs[1], 0); }
    // With s = <g, y>:  dg = y (u - <u, y>), the same op again;  dy = u (g - s) - g <u, y>.
    static Tensors vjp(const Attributes&, const Recorded& record, const Tensors& u) {
        const Tensor& y = record.input(1);
        Tensors d(2);
        if (record.needs(0)) d[0] = softmax_input_gradient(u[0], y);
        if (record.needs(1)) {
            const Tensor& g = record.input(0);
            d[1] = u[0] * (g - sum(g * y, {-1}, Axes::keep)) - g * sum(u[0] * y, {-1}, Axes::keep);
        }
        return d;
    }
    static void samples(Samples<SoftmaxInputGradient>& s) {
        row_shapes([&](std::string text, const Shape& shape) {
            s.add(std::move(text), {}, {uniform(shape), simplex(shape, 2)});
        });
        s.add_same("g = y", {}, uniform({2, 3}), 2);
        s.fails("shapes that differ", {}, {f64({2, 3}), f64({2, 1})}, "of one shape");
        row_errors(s, {}, {f64({2, 2})});
    }
};

template <>
const OpInfo& op_info<op::SoftmaxInputGradient>() {
    return describe<op::SoftmaxInputGradient>();
}

Tensor softmax_input_gradient(const Tensor& g, const Tensor& y) {
    return apply<op::SoftmaxInputGradient>({}, {g, y})[0];
}

}  // namespace microtome
