#include "autograd/composed.hpp"
#include "autograd/describe.hpp"
#include "autograd/ops/arithmetic.hpp"
#include "autograd/ops/attention.hpp"
#include "autograd/ops/linear.hpp"
#include "autograd/ops/shaping.hpp"
#include "autograd/ops/softmax.hpp"
#include "tensor/kernels/attention.hpp"

#include <cmath>

namespace microtome {

struct op::AttentionInputGradient {
    static constexpr std::string_view name = "attention_input_gradient";
    static constexpr std::string_view formula =
        "for each head, with p = softmax(q k^T / sqrt(D)): dv = p^T g, ds = p (g v^T - <p, g v^T>) / "
        "sqrt(D), "
        "dq = ds k, dk = ds^T q";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::composed;
    using Attributes = NoAttributes;

    static Specs shape_rule(const Attributes&, const Specs& in) {
        const NoAttributes none;
        const Spec expected = op_info<op::Attention>().shape_rule(&none, {in[1]})[0];
        if (!(in[0] == expected))
            throw ShapeError(name, str("expected g ", expected, " for qkv ", in[1], ", got ", in[0]));
        return {in[1]};
    }
    static std::size_t workspace(const Attributes&, const Specs& in) {
        return kernels::attention_workspace(in[1]);
    }
    static void forward(const Attributes&, const Tensors& in, Tensors& out, KernelContext& context) {
        kernels::attention_input_gradient(in[0], in[1], out[0], context);
    }
    static Saves saves(const Attributes&, Needs) { return Saves().input(0).input(1); }
    static Tensors vjp(const Attributes&, const Recorded& record, const Tensors& u) {
        return composed_vjp(record, u, [](const Tensors& in) -> Tensors {
            const Shape& x = in[1].shape();
            const int64_t n = x[0], t = x[1], h = x[3], d = x[4];
            const double scale = 1 / std::sqrt(static_cast<double>(d));
            // (N, H, T, D) each
            Tensor packed = permute(in[1], {2, 0, 3, 1, 4});
            auto part = [&](int64_t which) {
                return reshape(slice(packed, 0, which, which + 1), Shape{n, h, t, d});
            };
            Tensor q = part(0), k = part(1), v = part(2);
            Tensor g = permute(reshape(in[0], Shape{n, t, h, d}), {0, 2, 1, 3});
            Tensor p = softmax(matmul(q, k, Transpose::no, Transpose::yes) * scale);
            Tensor dp = matmul(g, v, Transpose::no, Transpose::yes);
            Tensor ds = softmax_input_gradient(dp, p) * scale;
            Tensor dqkv =
                stack({matmul(ds, k), matmul(ds, q, Transpose::yes), matmul(p, g, Transpose::yes)}, 0);
            return {permute(dqkv, {1, 3, 0, 2, 4})};
        });
    }
    static void samples(Samples<AttentionInputGradient>& s) {
        auto add = [&](std::string text, const Shape& qkv) {
            s.add(std::move(text), {}, {uniform({qkv[0], qkv[1], qkv[3] * qkv[4]}, -1, 1, 2), uniform(qkv)});
        };
        add("two heads", {1, 3, 3, 2, 2});
        add("one position", {2, 1, 3, 1, 2});
        add("two samples", {2, 2, 3, 1, 1});
        add("heads past a vector", {1, 2, 3, 1, 17});
        add("positions past a vector", {1, 17, 3, 1, 1});
        add("no samples", {0, 3, 3, 2, 2});
        s.fails("another g", {}, {f64({2, 3, 5}), f64({2, 3, 3, 2, 2})}, "expected g f64(2,3,4)");
        s.fails("not packed", {}, {f64({2, 3, 4}), f64({2, 3, 12})}, "(N, T, 3, H, D)");
    }
};

template <>
const OpInfo& op_info<op::AttentionInputGradient>() {
    return describe<op::AttentionInputGradient>();
}

Tensor attention_input_gradient(const Tensor& g, const Tensor& qkv) {
    return apply<op::AttentionInputGradient>({}, {g, qkv})[0];
}

}  // namespace microtome
