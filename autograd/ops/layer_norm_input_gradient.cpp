#include "autograd/ops/normalization_op.hpp"
#include "tensor/kernels/rows.hpp"

namespace microtome {

struct op::LayerNormInputGradient {
    static constexpr std::string_view name = "layer_norm_input_gradient";
    static constexpr std::string_view formula =
        "dx = (h - mean(h) - x' mean(h x')) / sqrt(variance + eps) with h = gamma g and x' normalised, row "
        "by row";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::composed;
    using Attributes = NormalizationAttributes;

    static Specs shape_rule(const Attributes& a, const Specs& in) {
        require_rows(name, in[1]);
        require_channels(name, in[1], std::span(in).subspan(2), a.eps);
        if (!(in[0] == in[1]))
            throw ShapeError(name,
                             str("expected g and x of one shape and type, got ", in[0], " and ", in[1]));
        return {in[1]};
    }
    static void forward(const Attributes& a, const Tensors& in, Tensors& out, KernelContext& context) {
        Tensor mean = row_statistic(in[1].spec()), rstd = row_statistic(in[1].spec());
        kernels::layer_norm(in[1], {}, {}, a.eps, out[0], mean, rstd, context);  // for mean and rstd
        kernels::layer_norm_input_gradient(in[0], in[1], mean, rstd, in[2], out[0], context);
    }
    static Saves saves(const Attributes&, Needs) { return Saves().input(0).input(1).input(2); }
    static Tensors vjp(const Attributes& a, const Recorded& record, const Tensors& u) {
        return composed_vjp(record, u, [&](const Tensors& in) -> Tensors {
            auto row_mean = [](const Tensor& x) { return mean(x, {-1}, Axes::keep); };
            Tensor deviation = in[1] - row_mean(in[1]);
            Tensor root = sqrt(row_mean(square(deviation)) + a.eps);
            Tensor normalized = deviation / root;
            Tensor h = in[0] * in[2];
            return {(h - row_mean(h) - normalized * row_mean(h * normalized)) / root};
        });
    }
    static void samples(Samples<LayerNormInputGradient>& s) {
        row_shapes([&](std::string text, const Shape& x) {
            s.add(std::move(text), {0.01}, {uniform(x), uniform(x, -1, 1, 2), uniform({x[-1]}, 0.5, 2, 3)});
        });
        s.add_same("everything the same", {0.5}, uniform({3}), 3);
        s.fails("another g", {0.1}, {f64({3, 3}), f64({2, 3}), f64({3})}, "of one shape");
        s.fails("another size of gamma", {0.1}, {f64({2, 3}), f64({2, 3}), f64({2})},
                "one number for each channel");
        s.fails("rows of nothing", {0.1}, {f64({3, 0}), f64({3, 0}), f64({0})}, "at least one element");
        s.fails("eps of 0", {0}, {f64({2, 3}), f64({2, 3}), f64({3})}, "eps > 0");
    }
};

template <>
const OpInfo& op_info<op::LayerNormInputGradient>() {
    return describe<op::LayerNormInputGradient>();
}

Tensor layer_norm_input_gradient(const Tensor& g, const Tensor& x, const Tensor& gamma, double eps) {
    return apply<op::LayerNormInputGradient>({eps}, {g, x, gamma})[0];
}

}  // namespace microtome
