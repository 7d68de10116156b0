#include "autograd/ops/normalization_op.hpp"
#include "tensor/kernels/rows.hpp"

namespace microtome {

struct op::LayerNorm {
    static constexpr std::string_view name = "layer_norm";
    static constexpr std::string_view formula =
        "y = gamma (x - mean) / sqrt(variance + eps) + beta, mean and variance those of each row of x";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::composed;
    using Attributes = NormalizationAttributes;

    static Specs shape_rule(const Attributes& a, const Specs& in) {
        require_rows(name, in[0]);
        require_channels(name, in[0], std::span(in).subspan(1), a.eps);
        return {in[0]};
    }
    static void forward(const Attributes& a, const Tensors& in, Tensors& out, KernelContext& context) {
        Tensor mean = row_statistic(in[0].spec()), rstd = row_statistic(in[0].spec());
        kernels::layer_norm(in[0], in[1], in[2], a.eps, out[0], mean, rstd, context);
    }
    static Saves saves(const Attributes&, Needs needs) {
        return Saves().input_if(needs[0] || needs[1], 0).input_if(needs[0], 1);
    }
    static Tensors vjp(const Attributes& a, const Recorded& record, const Tensors& g) {
        Tensors d(3);
        if (record.needs(0)) d[0] = layer_norm_input_gradient(g[0], record.input(0), record.input(1), a.eps);
        if (record.needs(1)) {
            const Tensor& x = record.input(0);
            const Spec& gamma = record.input_specs[1];
            Tensor normalized = layer_norm(x, Tensor::full(gamma.shape, 1, gamma.dtype, gamma.device),
                                           Tensor::zeros(gamma.shape, gamma.dtype, gamma.device), a.eps);
            d[1] = sum_to(g[0] * normalized, gamma.shape);
        }
        if (record.needs(2)) d[2] = sum_to(g[0], record.input_specs[2].shape);
        return d;
    }
    static void samples(Samples<LayerNorm>& s) {
        row_shapes([&](std::string text, const Shape& x) {
            const Shape c{x[-1]};
            s.add(std::move(text), {0.01}, {uniform(x), uniform(c, 0.5, 2, 2), uniform(c, -1, 1, 3)});
        });
        s.add_same("x, gamma and beta", {0.5}, uniform({3}), 3);
        row_errors(s, {0.1}, {f64({2}), f64({2})});
        s.fails("another size of gamma", {0.1}, {f64({2, 3}), f64({2}), f64({3})},
                "one number for each channel");
        s.fails("eps of 0", {0}, {f64({2, 3}), f64({3}), f64({3})}, "eps > 0");
    }
};

template <>
const OpInfo& op_info<op::LayerNorm>() {
    return describe<op::LayerNorm>();
}

Tensor layer_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, double eps) {
    return apply<op::LayerNorm>({eps}, {x, gamma, beta})[0];
}

}  // namespace microtome
