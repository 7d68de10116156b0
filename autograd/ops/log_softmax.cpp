#include "autograd/ops/row_op.hpp"
#include "autograd/ops/softmax.hpp"
#include "tensor/kernels/rows.hpp"

namespace microtome {

struct op::LogSoftmax {
    static constexpr std::string_view name = "log_softmax";
    static constexpr std::string_view formula = "y = x - log(sum of e^x over the last axis)";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::closed;
    using Attributes = NoAttributes;

    static Specs shape_rule(const Attributes&, const Specs& in) {
        require_rows(name, in[0]);
        return {in[0]};
    }
    static void forward(const Attributes&, const Tensors& in, Tensors& out, KernelContext& context) {
        kernels::log_softmax(in[0], out[0], context);
    }
    static Saves saves(const Attributes&, Needs) { return Saves().output(0); }
    static Tensors vjp(const Attributes&, const Recorded& record, const Tensors& g) {
        return {g[0] - exp(record.output(0)) * sum(g[0], {-1}, Axes::keep)};
    }
    static void samples(Samples<LogSoftmax>& s) {
        row_shapes([&](std::string text, const Shape& shape) {
            s.add(std::move(text), {}, {uniform(shape, -2, 2)});
        });
        s.extreme("tiny, and far apart", {},
                  {Tensor::of({1e30, 0.0, -1e30, 1e-30, 1e-30, 2e-30, -3e-30, 0.0}, {2, 4})});
        row_errors(s, {});
    }
};

template <>
const OpInfo& op_info<op::LogSoftmax>() {
    return describe<op::LogSoftmax>();
}

Tensor log_softmax(const Tensor& x) {
    return apply<op::LogSoftmax>({}, {x})[0];
}

}  // namespace microtome
