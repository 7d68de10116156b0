#include "autograd/ops/conv2d_op.hpp"
#include "tensor/kernels/conv2d.hpp"

namespace microtome {

struct op::Conv2dInputGradient {
    static constexpr std::string_view name = "conv2d_input_gradient";
    static constexpr std::string_view formula = "dx = the adjoint of conv2d(., w), applied to g";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::closed;
    using Attributes = Conv2dInputGradientAttributes;

    static ConvShape geometry(const Attributes& a, const Shape& first, const Shape& second) {
        // first is g (N, OH, OW, O), second the filters (O, KH, KW, C / groups).
        return conv_shape(Shape{first[0], a.h, a.w, second[3] * a.options.groups}, second, a.options);
    }
    static Specs shape_rule(const Attributes& a, const Specs& in) {
        require_images(name, in);
        if (in[0].shape.rank() != 4 || in[1].shape.rank() != 4)
            throw ShapeError(name, str("expected g (N, OH, OW, O) and filters (O, KH, KW, C / groups), got ",
                                       in[0], " and ", in[1]));
        ConvShape shape = require_output(name, geometry(a, in[0].shape, in[1].shape), in[0]);
        return {{shape.input(), in[0].dtype, in[0].device}};
    }
    static std::size_t workspace(const Attributes& a, const Specs& in) {
        return visit_floating("conv2d_input_gradient", in[0].dtype, [&]<class T>() {
            return kernels::conv2d_input_gradient_workspace<T>(geometry(a, in[0].shape, in[1].shape));
        });
    }
    static void forward(const Attributes& a, const Tensors& in, Tensors& out, KernelContext& context) {
        kernels::conv2d_input_gradient(geometry(a, in[0].shape(), in[1].shape()), in[0], in[1], out[0],
                                       context);
    }
    static Saves saves(const Attributes&, Needs needs) {
        return Saves().input_if(needs[0], 1).input_if(needs[1], 0);
    }
    static Tensors vjp(const Attributes& a, const Recorded& record, const Tensors& g) {
        const Shape& w = record.input_specs[1].shape;
        Tensors d(2);
        if (record.needs(0)) d[0] = conv2d(g[0], record.input(1), a.options);
        if (record.needs(1)) d[1] = conv2d_weight_gradient(g[0], record.input(0), w[1], w[2], a.options);
        return d;
    }
    static void samples(Samples<Conv2dInputGradient>& s) {
        conv_geometries([&](std::string text, const Shape& x, const Shape& w, const ConvOptions& options) {
            s.add(std::move(text), {options, x[1], x[2]},
                  {uniform(conv_shape(x, w, options).output()), uniform(w, -1, 1, 2)});
        });
        s.fails("a gradient of another size", {{}, 8, 8}, {f64({1, 5, 6, 2}), f64({2, 3, 3, 1})},
                "expected g (1,6,6,2)");
        s.fails("not images", {{}, 8, 8}, {f64({6, 6, 2}), f64({2, 3, 3, 1})}, "(N, OH, OW, O)");
    }
};

template <>
const OpInfo& op_info<op::Conv2dInputGradient>() {
    return describe<op::Conv2dInputGradient>();
}

Tensor conv2d_input_gradient(const Tensor& g, const Tensor& w, int64_t h, int64_t width,
                             const ConvOptions& options) {
    return apply<op::Conv2dInputGradient>({options, h, width}, {g, w})[0];
}

}  // namespace microtome
