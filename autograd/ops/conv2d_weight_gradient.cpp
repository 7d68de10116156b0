#include "autograd/ops/conv2d_op.hpp"
#include "tensor/kernels/conv2d.hpp"

namespace microtome {

struct op::Conv2dWeightGradient {
    static constexpr std::string_view name = "conv2d_weight_gradient";
    static constexpr std::string_view formula = "dw = the adjoint of conv2d(x, .), applied to g";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::closed;
    struct Attributes {
        ConvOptions options;
        int64_t kh = 0, kw = 0;
        void each(auto&& field) const {
            each_conv_option(options, field);
            field("kh", kh);
            field("kw", kw);
        }
    };

    static ConvShape geometry(const Attributes& a, const Shape& first, const Shape& second) {
        // first is x (N, H, W, C), second is g (N, OH, OW, O).
        return conv_shape(first,
                          Shape{second[3], a.kh, a.kw, first[3] / std::max<int64_t>(a.options.groups, 1)},
                          a.options);
    }
    static Specs shape_rule(const Attributes& a, const Specs& in) {
        require_images(name, in);
        if (in[0].shape.rank() != 4 || in[1].shape.rank() != 4)
            throw ShapeError(
                name, str("expected x (N, H, W, C) and g (N, OH, OW, O), got ", in[0], " and ", in[1]));
        ConvShape shape = require_output(name, geometry(a, in[0].shape, in[1].shape), in[1]);
        return {{shape.filters(), in[0].dtype, in[0].device}};
    }
    static std::size_t workspace(const Attributes& a, const Specs& in) {
        return visit_floating("conv2d_weight_gradient", in[0].dtype, [&]<class T>() {
            return kernels::conv2d_weight_gradient_workspace<T>(geometry(a, in[0].shape, in[1].shape));
        });
    }
    static void forward(const Attributes& a, const Tensors& in, Tensors& out, KernelContext& context) {
        kernels::conv2d_weight_gradient(geometry(a, in[0].shape(), in[1].shape()), in[0], in[1], out[0],
                                        context);
    }
    static Saves saves(const Attributes&, Needs needs) {
        return Saves().input_if(needs[0], 1).input_if(needs[1], 0);
    }
    static Tensors vjp(const Attributes& a, const Recorded& record, const Tensors& g) {
        const Shape& x = record.input_specs[0].shape;
        Tensors d(2);
        if (record.needs(0)) d[0] = conv2d_input_gradient(record.input(1), g[0], x[1], x[2], a.options);
        if (record.needs(1)) d[1] = conv2d(record.input(0), g[0], a.options);
        return d;
    }
    static void samples(Samples<Conv2dWeightGradient>& s) {
        conv_geometries([&](std::string text, const Shape& x, const Shape& w, const ConvOptions& options) {
            s.add(std::move(text), {options, w[1], w[2]},
                  {uniform(x), uniform(conv_shape(x, w, options).output(), -1, 1, 2)});
        });
        s.fails("a gradient of another size", {{}, 3, 3}, {f64({1, 8, 8, 1}), f64({1, 5, 6, 2})},
                "expected g (1,6,6,2)");
        s.fails("not images", {{}, 3, 3}, {f64({8, 8, 1}), f64({1, 6, 6, 2})}, "expected x (N, H, W, C)");
    }
};

template <>
const OpInfo& op_info<op::Conv2dWeightGradient>() {
    return describe<op::Conv2dWeightGradient>();
}

Tensor conv2d_weight_gradient(const Tensor& x, const Tensor& g, int64_t kh, int64_t kw,
                              const ConvOptions& options) {
    return apply<op::Conv2dWeightGradient>({options, kh, kw}, {x, g})[0];
}

}  // namespace microtome
