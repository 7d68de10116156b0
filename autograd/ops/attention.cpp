#include "autograd/ops/attention.hpp"

#include "autograd/describe.hpp"
#include "autograd/ops/arithmetic.hpp"
#include "autograd/ops/linear.hpp"
#include "autograd/ops/require.hpp"
#include "autograd/ops/shaping.hpp"
#include "autograd/ops/softmax.hpp"
#include "tensor/kernels/attention.hpp"

#include <cmath>

namespace microtome {

struct op::Attention {
    static constexpr std::string_view name = "attention";
    static constexpr std::string_view formula = "y = softmax(q k^T / sqrt(D)) v for each head";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::composed;
    using Attributes = NoAttributes;

    static Specs shape_rule(const Attributes&, const Specs& in) {
        const Shape& x = in[0].shape;
        require_floating(name, in[0]);
        if (x.rank() != 5 || x[2] != 3 || x[1] < 1 || x[3] < 1 || x[4] < 1)
            throw ShapeError(name,
                             str("expected qkv (N, T, 3, H, D) with T, H and D of at least 1, got ", in[0]));
        return {{Shape{x[0], x[1], x[3] * x[4]}, in[0].dtype, in[0].device}};
    }
    static std::size_t workspace(const Attributes&, const Specs& in) {
        return kernels::attention_workspace(in[0]);
    }
    static void forward(const Attributes&, const Tensors& in, Tensors& out, KernelContext& context) {
        kernels::attention(in[0], out[0], context);
    }
    static Saves saves(const Attributes&, Needs) { return Saves().input(0); }
    static Tensors vjp(const Attributes&, const Recorded& record, const Tensors& g) {
        return {attention_input_gradient(g[0], record.input(0))};
    }
    static void samples(Samples<Attention>& s) {
        s.add("two heads", {}, {uniform({1, 3, 3, 2, 2})});
        s.add("one position: the values themselves", {}, {uniform({2, 1, 3, 1, 2})});
        s.add("heads of one number", {}, {uniform({1, 4, 3, 3, 1})});
        s.add("heads past a vector", {}, {uniform({1, 3, 3, 1, 17})});
        s.add("positions past a vector", {}, {uniform({1, 17, 3, 1, 2})});
        s.add("no samples", {}, {uniform({0, 3, 3, 2, 2})});
        s.fails("not packed", {}, {f64({2, 3, 12})}, "(N, T, 3, H, D)");
        s.fails("two parts", {}, {f64({2, 3, 2, 2, 2})}, "(N, T, 3, H, D)");
        s.fails("no positions", {}, {f64({2, 0, 3, 2, 2})}, "at least 1");
        s.fails("integers", {}, {i64({2, 3, 3, 2, 2})}, "floating");
    }
};

template <>
const OpInfo& op_info<op::Attention>() {
    return describe<op::Attention>();
}

Tensor attention(const Tensor& qkv, int64_t heads) {
    if (qkv.rank() == 5) {
        if (qkv.size(3) != heads)
            throw OptionsError("attention",
                               str("expected the ", qkv.size(3), " heads of ", qkv.spec(), ", got ", heads));
        return apply<op::Attention>({}, {qkv})[0];
    }
    if (qkv.rank() != 3)
        throw ShapeError("attention", str("expected qkv (N, T, 3 H D) or (N, T, 3, H, D), got ", qkv.spec()));
    if (heads < 1 || qkv.size(2) % (3 * heads) != 0)
        throw OptionsError(
            "attention", str("expected a number of heads such that 3 heads divide the width of ", qkv.spec(),
                             ", got ", heads));
    return attention(reshape(qkv, Shape{qkv.size(0), qkv.size(1), 3, heads, qkv.size(2) / (3 * heads)}),
                     heads);
}

Tensor scaled_dot_product(const Tensor& q, const Tensor& k, const Tensor& v) {
    Tensor scores =
        matmul(q, k, Transpose::no, Transpose::yes) * (1 / std::sqrt(static_cast<double>(q.size(-1))));
    return matmul(softmax(scores), v);
}

}  // namespace microtome
