#include "autograd/ops/conv_relu_pool_op.hpp"

namespace microtome {

struct op::Conv2dReluPool {
    static constexpr std::string_view name = "conv2d_relu_pool";
    static constexpr std::string_view formula = "y = max over 2x2 pixels of relu(conv2d(x, w) + bias)";
    static constexpr std::string_view kinks =
        "where the ReLU meets 0 the derivative is 0; ties: the gradient goes to the first of equals";
    static constexpr SecondOrder second_order = SecondOrder::closed;
    using Attributes = Conv2dAttributes;

    static ConvShape geometry(const Attributes& a, const Shape& x, const Shape& w) {
        return require_window(name, conv_shape(x, w, a.options));
    }
    static Specs shape_rule(const Attributes& a, const Specs& in) {
        require_images(name, in);
        const ConvShape shape = geometry(a, in[0].shape, in[1].shape);
        if (!(in[2] == Spec{{shape.o}, in[0].dtype, in[2].device}))
            throw ShapeError(name, str("expected a bias of ", shape.o, " elements of x's type, got ", in[2]));
        return {{pooled(shape), in[0].dtype, in[0].device}};
    }
    static Specs gates(const Attributes& a, const Specs& in) {
        return {{pooled(geometry(a, in[0].shape, in[1].shape)), Dtype::u8, in[0].device}};
    }
    static std::size_t workspace(const Attributes& a, const Specs& in) {
        return visit_floating("conv2d_relu_pool", in[0].dtype, [&]<class T>() {
            return kernels::conv_pool_workspace<T>(geometry(a, in[0].shape, in[1].shape));
        });
    }
    static void forward(const Attributes& a, const Tensors& in, Tensors& out, KernelContext& context) {
        kernels::conv_pool(geometry(a, in[0].shape(), in[1].shape()), in[0], in[1], in[2], out[0],
                           out.size() > 1 ? &out[1] : nullptr, context);
    }
    static Saves saves(const Attributes&, Needs needs) {
        return Saves().gates().input_if(needs[0], 1).input_if(needs[1] || needs[2], 0);
    }
    static Tensors vjp(const Attributes& a, const Recorded& record, const Tensors& g) {
        const Shape &x = record.input_specs[0].shape, &w = record.input_specs[1].shape;
        Tensors d(3);
        if (record.needs(0))
            d[0] =
                conv2d_relu_pool_input_gradient(g[0], record.gate(0), record.input(1), x[1], x[2], a.options);
        if (record.needs(1) || record.needs(2)) {
            const ConvReluPoolWeightGradients both = conv2d_relu_pool_weight_gradient(
                record.input(0), g[0], record.gate(0), w[1], w[2], a.options);
            d[1] = both.w, d[2] = both.bias;
        }
        return d;
    }
    static void samples(Samples<Conv2dReluPool>& s) {
        conv_relu_pool_geometries(
            [&](std::string text, const Shape& x, const Shape& w, const ConvOptions& options) {
                const ConvReluPoolSample sample = away_from_kinks(x, w, options);
                s.add(std::move(text), {options}, {sample.x, sample.w, sample.bias});
            });
        // Pixels 3 3 / 1 2 behind a filter of one tap 1: the first wins; with bias -3 the ReLU is at its
        // kink.
        const Tensor x = Tensor::of({3.0, 3.0, 1.0, 2.0}, {1, 2, 2, 1}),
                     one = Tensor::full({1, 1, 1, 1}, 1, Dtype::f64);
        const Tensor g = Tensor::full({1, 1, 1, 1}, 5, Dtype::f64);
        s.kink("two equals", {}, {x, one, Tensor::of({0.0}, {1})}, {g},
               {Tensor::of({5.0, 0.0, 0.0, 0.0}, {1, 2, 2, 1}), Tensor::of({15.0}, {1, 1, 1, 1}),
                Tensor::of({5.0}, {1})});
        s.kink("a maximum of 0", {}, {x, one, Tensor::of({-3.0}, {1})}, {g},
               {Tensor::zeros({1, 2, 2, 1}, Dtype::f64), Tensor::of({0.0}, {1, 1, 1, 1}),
                Tensor::of({0.0}, {1})});
        s.fails("another bias", {}, {f64({1, 8, 8, 1}), f64({2, 3, 3, 1}), f64({3})}, "a bias of 2 elements");
        s.fails("channels that do not match", {}, {f64({1, 8, 8, 1}), f64({32, 3, 3, 3}), f64({32})},
                "channels");
        s.fails("nothing to pool", {}, {f64({1, 1, 4, 1}), f64({1, 1, 1, 1}), f64({1})}, "at least 2x2");
        s.fails("integers", {}, {i64({1, 8, 8, 1}), i64({1, 3, 3, 1}), i64({1})}, "floating");
    }
};

template <>
const OpInfo& op_info<op::Conv2dReluPool>() {
    return describe<op::Conv2dReluPool>();
}

Tensor conv2d_relu_pool(const Tensor& x, const Tensor& w, const Tensor& bias, const ConvOptions& options) {
    return apply<op::Conv2dReluPool>({options}, {x, w, bias})[0];
}

}  // namespace microtome
