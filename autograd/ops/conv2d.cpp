#include "tensor/kernels/conv2d.hpp"

#include "autograd/ops/conv2d_op.hpp"

namespace microtome {

struct op::Conv2d {
    static constexpr std::string_view name = "conv2d";
    static constexpr std::string_view formula =
        "y[n,i,j,o] = sum over p,q,c of x[n, i*stride + p*dilation - pad, ..., c] w[o,p,q,c]";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::closed;
    using Attributes = Conv2dAttributes;

    static ConvShape geometry(const Attributes& a, const Shape& first, const Shape& second) {
        return conv_shape(first, second, a.options);
    }
    static Specs shape_rule(const Attributes& a, const Specs& in) {
        require_images(name, in);
        return {{geometry(a, in[0].shape, in[1].shape).output(), in[0].dtype, in[0].device}};
    }
    static std::size_t workspace(const Attributes& a, const Specs& in) {
        return visit_floating("conv2d", in[0].dtype, [&]<class T>() {
            return kernels::conv2d_workspace<T>(geometry(a, in[0].shape, in[1].shape));
        });
    }
    static void forward(const Attributes& a, const Tensors& in, Tensors& out, KernelContext& context) {
        kernels::conv2d(geometry(a, in[0].shape(), in[1].shape()), in[0], in[1], out[0], context);
    }
    static Saves saves(const Attributes&, Needs needs) {
        return Saves().input_if(needs[0], 1).input_if(needs[1], 0);
    }
    static Tensors vjp(const Attributes& a, const Recorded& record, const Tensors& g) {
        const Shape &x = record.input_specs[0].shape, &w = record.input_specs[1].shape;
        Tensors d(2);
        if (record.needs(0)) d[0] = conv2d_input_gradient(g[0], record.input(1), x[1], x[2], a.options);
        if (record.needs(1)) d[1] = conv2d_weight_gradient(record.input(0), g[0], w[1], w[2], a.options);
        return d;
    }
    static void samples(Samples<Conv2d>& s) {
        conv_geometries([&](std::string text, const Shape& x, const Shape& w, const ConvOptions& options) {
            s.add(std::move(text), {options}, {uniform(x), uniform(w, -1, 1, 2)});
        });
        s.add_same("x filtered with itself", {}, uniform({2, 2, 2, 1}), 2);
        s.extreme("tiny and huge", {},
                  {reshape(far_apart(), Shape{1, 2, 4, 1}), Tensor::of({1e-30, 1e15}, {1, 1, 2, 1})});
        s.fails("channels that do not match", {}, {f64({1, 8, 8, 1}), f64({32, 3, 3, 3})}, "channels");
        s.fails("a filter larger than the image", {}, {f64({1, 2, 2, 1}), f64({1, 3, 3, 1})}, "filter");
        s.fails("not images", {}, {f64({8, 8, 1}), f64({1, 3, 3, 1})}, "(N,H,W,C)");
        s.fails("stride 0", {{.stride_h = 0}}, {f64({1, 8, 8, 1}), f64({1, 3, 3, 1})}, "stride");
        s.fails("integers", {}, {i64({1, 8, 8, 1}), i64({1, 3, 3, 1})}, "floating");
    }
};

template <>
const OpInfo& op_info<op::Conv2d>() {
    return describe<op::Conv2d>();
}

Tensor conv2d(const Tensor& x, const Tensor& w, const ConvOptions& options) {
    return apply<op::Conv2d>({options}, {x, w})[0];
}

}  // namespace microtome
