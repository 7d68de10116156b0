#include "autograd/ops/conv_relu_pool_op.hpp"
#include "autograd/ops/reductions.hpp"

namespace microtome {

struct op::Conv2dReluPoolWeightGradient {
    static constexpr std::string_view name = "conv2d_relu_pool_weight_gradient";
    static constexpr std::string_view formula =
        "with e = g at the pixel that won each window: dw = conv2d_weight_gradient(x, e), dbias = sum(e)";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::composed;
    struct Attributes {
        ConvOptions options;
        int64_t kh = 0, kw = 0;
        void each(auto&& field) const {
            each_conv_option(options, field);
            field("kh", kh);
            field("kw", kw);
        }
    };

    static ConvShape geometry(const Attributes& a, const Shape& x, const Shape& g) {
        if (x.rank() != 4 || g.rank() != 4)
            throw ShapeError(
                name, str("expected x (N, H, W, C) and g (N, OH / 2, OW / 2, O), got ", x, " and ", g));
        return require_window(
            name,
            conv_shape(x, Shape{g[3], a.kh, a.kw, x[3] / std::max<int64_t>(a.options.groups, 1)}, a.options));
    }
    static Specs shape_rule(const Attributes& a, const Specs& in) {
        require_images(name, in);
        const ConvShape shape = geometry(a, in[0].shape, in[1].shape);
        require_pooled(name, shape, in[1], in[2]);
        return {{shape.filters(), in[0].dtype, in[0].device}, {{shape.o}, in[0].dtype, in[0].device}};
    }
    static std::size_t workspace(const Attributes& a, const Specs& in) {
        return visit_floating("conv2d_relu_pool", in[0].dtype, [&]<class T>() {
            return kernels::conv_pool_weight_gradient_workspace<T>(geometry(a, in[0].shape, in[1].shape));
        });
    }
    static void forward(const Attributes& a, const Tensors& in, Tensors& out, KernelContext& context) {
        require_gate(name, in[2]);
        kernels::conv_pool_weight_gradient(geometry(a, in[0].shape(), in[1].shape()), in[0], in[1], in[2],
                                           out[0], out[1], context);
    }
    static Saves saves(const Attributes&, Needs) { return Saves().input(0).input(1).input(2); }
    static Tensors vjp(const Attributes& a, const Recorded& record, const Tensors& u) {
        return composed_vjp(record, u, [&](const Tensors& in) -> Tensors {
            const Tensor e = unpooled(in[1], in[2], geometry(a, in[0].shape(), in[1].shape()));
            return {conv2d_weight_gradient(in[0], e, a.kh, a.kw, a.options), sum(e, {0, 1, 2})};
        });
    }
    static void samples(Samples<Conv2dReluPoolWeightGradient>& s) {
        conv_relu_pool_geometries(
            [&](std::string text, const Shape& x, const Shape& w, const ConvOptions& options) {
                const ConvReluPoolSample sample = away_from_kinks(x, w, options);
                s.add(std::move(text), {options, w[1], w[2]},
                      {sample.x, uniform(sample.y, -1, 1, 3), sample.gate});
            });
        const Spec gate{{1, 4, 4, 2}, Dtype::u8, kCpu};
        s.fails("a gradient of another size", {{}, 3, 3}, {f64({1, 10, 10, 1}), f64({1, 4, 5, 2}), gate},
                "expected g and a u8 gate (1,4,4,2)");
        s.fails("a gate of floats", {{}, 3, 3}, {f64({1, 10, 10, 1}), f64({1, 4, 4, 2}), f64({1, 4, 4, 2})},
                "u8 gate");
        s.fails("nothing to pool", {{}, 1, 1}, {f64({1, 1, 4, 1}), f64({1, 0, 2, 1}), gate}, "at least 2x2");
        s.fails("not images", {{}, 3, 3}, {f64({10, 10, 1}), f64({1, 4, 4, 2}), gate},
                "expected x (N, H, W, C)");
    }
};

template <>
const OpInfo& op_info<op::Conv2dReluPoolWeightGradient>() {
    return describe<op::Conv2dReluPoolWeightGradient>();
}

ConvReluPoolWeightGradients conv2d_relu_pool_weight_gradient(const Tensor& x, const Tensor& g,
                                                             const Tensor& gate, int64_t kh, int64_t kw,
                                                             const ConvOptions& options) {
    Tensors d = apply<op::Conv2dReluPoolWeightGradient>({options, kh, kw}, {x, g, gate});
    return {d[0], d[1]};
}

}  // namespace microtome
