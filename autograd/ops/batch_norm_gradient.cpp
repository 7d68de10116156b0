#include "autograd/ops/normalization_op.hpp"
#include "tensor/kernels/normalization.hpp"

namespace microtome {

struct op::BatchNormGradient {
    static constexpr std::string_view name = "batch_norm_gradient";
    static constexpr std::string_view formula =
        "x' = (x - mean) / sqrt(variance + eps): dgamma = sum(g x'), dbeta = sum(g), "
        "dx = gamma (g - mean(g) - x' mean(g x')) / sqrt(variance + eps)";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::composed;
    using Attributes = NormalizationAttributes;

    static Specs shape_rule(const Attributes& a, const Specs& in) {
        require_channels(name, in[1], std::span(in).subspan(2), a.eps);
        require_rows_to_average(name, in[1]);
        if (!(in[0] == in[1]))
            throw ShapeError(name,
                             str("expected g and x of one shape and type, got ", in[0], " and ", in[1]));
        return {in[1], in[2], in[2]};
    }
    static void forward(const Attributes& a, const Tensors& in, Tensors& out, KernelContext& context) {
        kernels::batch_norm_gradient(in[0], in[1], in[2], in[3], in[4], a.eps, out[0], out[1], out[2],
                                     context);
    }
    static Saves saves(const Attributes&, Needs) {
        return Saves().input(0).input(1).input(2).input(3).input(4);
    }
    static Tensors vjp(const Attributes& a, const Recorded& record, const Tensors& u) {
        return composed_vjp(record, u, [&](const Tensors& in) -> Tensors {
            const std::vector<int> axes = all_axes_but_last(in[0].shape());
            const Tensor &g = in[0], &gamma = in[2];
            Tensor root = sqrt(in[4] + a.eps);
            Tensor normalized = (in[1] - in[3]) / root;
            Tensor dx = gamma / root * (g - mean(g, axes) - normalized * mean(g * normalized, axes));
            return {dx, sum(g * normalized, axes), sum(g, axes)};
        });
    }
    static void samples(Samples<BatchNormGradient>& s) {
        auto add = [&](std::string text, const Shape& x) {
            const Shape c{x[-1]};
            s.add(std::move(text), {0.01},
                  {uniform(x), uniform(x, -1, 1, 2), uniform(c, 0.5, 2, 3), uniform(c, -1, 1, 4),
                   uniform(c, 0.5, 2, 5)});
        };
        add("rows", {4, 2});
        add("images", {1, 2, 3, 2});
        add("more than 16 lanes", {19, 1});
        add("channels past a vector", {3, 17});
        add("one row", {1, 3});
        Tensor one = uniform({2, 3}, -1, 1, 6), other = uniform({3}, 0.5, 2, 7);
        s.add("g is x; gamma, mean and variance are one", {0.5}, {one, one, other, other, other});
        Specs good{f64({2, 3}), f64({2, 3}), f64({3}), f64({3}), f64({3})};
        auto fails = [&](std::string text, std::size_t which, const Spec& spec, std::string message) {
            Specs bad = good;
            bad[which] = spec;
            s.fails(std::move(text), {0.1}, bad, std::move(message));
        };
        fails("another g", 0, f64({3, 3}), "of one shape");
        fails("another mean", 3, f64({2}), "one number for each channel (3)");
        s.fails("eps of 0", {0}, good, "eps > 0");
    }
};

template <>
const OpInfo& op_info<op::BatchNormGradient>() {
    return describe<op::BatchNormGradient>();
}

BatchNormGradients batch_norm_gradient(const Tensor& g, const Tensor& x, const Tensor& gamma,
                                       const Tensor& mean, const Tensor& variance, double eps) {
    Tensors d = apply<op::BatchNormGradient>({eps}, {g, x, gamma, mean, variance});
    return {d[0], d[1], d[2]};
}

}  // namespace microtome
