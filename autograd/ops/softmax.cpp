#include "autograd/ops/softmax.hpp"

#include "autograd/ops/row_op.hpp"
#include "tensor/kernels/rows.hpp"

namespace microtome {

struct op::Softmax {
    static constexpr std::string_view name = "softmax";
    static constexpr std::string_view formula = "y = e^x / sum of e^x over the last axis";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::composed;
    using Attributes = NoAttributes;

    static Specs shape_rule(const Attributes&, const Specs& in) {
        require_rows(name, in[0]);
        return {in[0]};
    }
    static void forward(const Attributes&, const Tensors& in, Tensors& out, KernelContext& context) {
        kernels::softmax(in[0], out[0], context);
    }
    static Saves saves(const Attributes&, Needs) { return Saves().output(0); }
    static Tensors vjp(const Attributes&, const Recorded& record, const Tensors& g) {
        return {softmax_input_gradient(g[0], record.output(0))};
    }
    static void samples(Samples<Softmax>& s) {
        row_shapes([&](std::string text, const Shape& shape) {
            s.add(std::move(text), {}, {uniform(shape, -2, 2)});
        });
        s.extreme("tiny, and far apart", {},
                  {Tensor::of({1e30, 0.0, -1e30, 1e-30, 1e-30, 2e-30, -3e-30, 0.0}, {2, 4})});
        row_errors(s, {});
    }
};

template <>
const OpInfo& op_info<op::Softmax>() {
    return describe<op::Softmax>();
}

Tensor softmax(const Tensor& x) {
    return apply<op::Softmax>({}, {x})[0];
}

}  // namespace microtome
