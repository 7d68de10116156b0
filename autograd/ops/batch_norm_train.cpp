#include "autograd/ops/normalization_op.hpp"
#include "tensor/kernels/normalization.hpp"

namespace microtome {

struct op::BatchNormTrain {
    static constexpr std::string_view name = "batch_norm_train";
    static constexpr std::string_view formula =
        "y = gamma (x - mean) / sqrt(variance + eps) + beta, mean and variance those of each channel of x";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::composed;
    using Attributes = NormalizationAttributes;

    static Specs shape_rule(const Attributes& a, const Specs& in) {
        require_channels(name, in[0], std::span(in).subspan(1), a.eps);
        require_rows_to_average(name, in[0]);
        return {in[0], in[1], in[1]};
    }
    static void forward(const Attributes& a, const Tensors& in, Tensors& out, KernelContext& context) {
        kernels::batch_norm(in[0], in[1], in[2], a.eps, out[0], out[1], out[2], context);
    }
    static Saves saves(const Attributes&, Needs needs) {
        if (!needs[0] && !needs[1]) return {};
        return Saves().input(0).input(1).output(1).output(2);
    }
    // Mean and variance are outputs, with gradients of their own: dmean/dx = 1 / R and, because deviations
    // from the mean sum to 0, dvariance/dx = 2 (x - mean) / R.
    static Tensors vjp(const Attributes& a, const Recorded& record, const Tensors& g) {
        const Shape& shape = record.input_specs[0].shape;
        const double rows = static_cast<double>(rows_of(shape));
        Tensors d(3);
        if (g[0].defined() && (record.needs(0) || record.needs(1))) {
            BatchNormGradients all = batch_norm_gradient(g[0], record.input(0), record.input(1),
                                                         record.output(1), record.output(2), a.eps);
            d = {all.x, all.gamma, all.beta};
        } else if (g[0].defined()) {
            d[2] = sum_to(g[0], record.input_specs[2].shape);
        }
        auto also = [&](const Tensor& more) { d[0] = d[0].defined() ? d[0] + more : more; };
        if (record.needs(0) && g[2].defined())
            also((record.input(0) - record.output(1)) * (g[2] * (2 / rows)));
        if (record.needs(0) && g[1].defined()) also(broadcast_to(g[1] / rows, shape));
        return d;
    }
    static void samples(Samples<BatchNormTrain>& s) {
        auto add = [&](std::string text, const Shape& x) {
            const Shape c{x[-1]};
            s.add(std::move(text), {0.01}, {uniform(x), uniform(c, 0.5, 2, 2), uniform(c, -1, 1, 3)});
        };
        add("rows", {5, 3});
        add("images", {2, 2, 3, 2});
        add("more than 16 lanes", {19, 1});
        add("channels past a vector", {3, 17});
        add("one row: variance 0", {1, 3});
        add("one pixel", {1, 1, 1, 2});
        add("no channels", {2, 0});
        Tensor both = uniform({3}, 0.5, 2, 2);
        s.add("gamma is beta", {0.5}, {uniform({2, 3}), both, both});
        s.fails("no rows", {0.1}, {f64({0, 3}), f64({3}), f64({3})}, "at least one row");
        s.fails("another number of channels", {0.1}, {f64({2, 3}), f64({2}), f64({3})},
                "one number for each channel (3)");
        s.fails("eps of 0", {0}, {f64({2, 3}), f64({3}), f64({3})}, "eps > 0");
        s.fails("types that differ", {0.1}, {f64({2, 3}), Spec{{3}, Dtype::f32, kCpu}, f64({3})},
                "of one type");
        s.fails("integers", {0.1}, {i64({2, 3}), i64({3}), i64({3})}, "floating");
    }
};

template <>
const OpInfo& op_info<op::BatchNormTrain>() {
    return describe<op::BatchNormTrain>();
}

BatchNormResult batch_norm_train(const Tensor& x, const Tensor& gamma, const Tensor& beta, double eps) {
    Tensors outputs = apply<op::BatchNormTrain>({eps}, {x, gamma, beta});
    return {outputs[0], outputs[1], outputs[2]};
}

Tensor batch_norm_inference(const Tensor& x, const Tensor& gamma, const Tensor& beta, const Tensor& mean,
                            const Tensor& variance, double eps) {
    const Spec vectors[] = {gamma.spec(), beta.spec(), mean.spec(), variance.spec()};
    require_channels("batch_norm_inference", x.spec(), vectors, eps);
    Tensor scale = gamma / sqrt(variance + eps);
    return multiply_add(x, scale, beta - mean * scale);
}

}  // namespace microtome
