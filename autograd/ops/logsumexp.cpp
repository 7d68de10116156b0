#include "autograd/ops/row_op.hpp"
#include "autograd/ops/softmax.hpp"
#include "tensor/kernels/rows.hpp"

namespace microtome {

// The axis stays with size 1; the public function drops it by a reshape.
struct op::Logsumexp {
    static constexpr std::string_view name = "logsumexp";
    static constexpr std::string_view formula = "y = log(sum of e^x over the last axis)";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::composed;
    using Attributes = NoAttributes;

    static Specs shape_rule(const Attributes&, const Specs& in) {
        require_rows(name, in[0]);
        return {{in[0].shape.with(-1, 1), in[0].dtype, in[0].device}};
    }
    static void forward(const Attributes&, const Tensors& in, Tensors& out, KernelContext& context) {
        kernels::logsumexp(in[0], out[0], context);
    }
    static Saves saves(const Attributes&, Needs) { return Saves().input(0); }
    static Tensors vjp(const Attributes&, const Recorded& record, const Tensors& g) {
        return {g[0] * softmax(record.input(0))};
    }
    static void samples(Samples<Logsumexp>& s) {
        row_shapes([&](std::string text, const Shape& shape) {
            s.add(std::move(text), {}, {uniform(shape, -2, 2)});
        });
        s.extreme("tiny, and far apart", {},
                  {Tensor::of({1e30, 0.0, -1e30, 1e-30, 1e-30, 2e-30, -3e-30, 0.0}, {2, 4})});
        row_errors(s, {});
    }
};

template <>
const OpInfo& op_info<op::Logsumexp>() {
    return describe<op::Logsumexp>();
}

Tensor logsumexp(const Tensor& x) {
    Tensor y = apply<op::Logsumexp>({}, {x})[0];
    return reshape(y, y.shape().without(-1));
}

}  // namespace microtome
