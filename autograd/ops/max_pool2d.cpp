#include "autograd/ops/pool_op.hpp"

namespace microtome {

struct op::MaxPool2d {
    static constexpr const char* name = "max_pool2d";
    static constexpr std::string_view formula = "y = max of x over each window";
    static constexpr std::string_view kinks = "ties: the gradient goes to the first of equals";
    static constexpr SecondOrder second_order = SecondOrder::closed;
    using Attributes = MaxPool2dAttributes;

    static Specs shape_rule(const Attributes& a, const Specs& in) {
        require_floating(name, in[0]);
        return {{max_pool_shape(name, in[0].shape, a.options).output(), in[0].dtype, in[0].device}};
    }
    static Specs gates(const Attributes& a, const Specs& in) {
        return {{max_pool_shape(name, in[0].shape, a.options).output(), Dtype::u8, in[0].device}};
    }
    static void forward(const Attributes& a, const Tensors& in, Tensors& out, KernelContext& context) {
        kernels::max_pool2d(max_pool_shape(name, in[0].shape(), a.options), in[0], out[0],
                            out.size() > 1 ? &out[1] : nullptr, context);
    }
    static Saves saves(const Attributes&, Needs) { return Saves().gates(); }
    static Tensors vjp(const Attributes& a, const Recorded& record, const Tensors& g) {
        const Shape& x = record.input_specs[0].shape;
        return {max_unpool2d(g[0], record.gate(0), x[1], x[2], a.options)};
    }
    static void samples(Samples<MaxPool2d>& s) {
        pool_geometries([&](std::string text, const Shape& x, const PoolOptions& options) {
            s.add(std::move(text), {options}, {distinct(x)});
        });
        s.kink("four equals", {}, {Tensor::full({1, 2, 2, 1}, 3, Dtype::f64)},
               {Tensor::full({1, 1, 1, 1}, 5, Dtype::f64)}, {Tensor::of({5.0, 0.0, 0.0, 0.0}, {1, 2, 2, 1})});
        s.fails("not images", {}, {f64({4, 4, 1})}, "(N, H, W, C)");
        s.fails("a window larger than the image", {}, {f64({1, 1, 4, 1})}, "at least 2x2");
        s.fails("padding as wide as the window", {{.pad_left = 2}}, {f64({1, 4, 4, 1})},
                "less than the kernel");
        s.fails("a window of more than 255", {{.kernel_h = 16, .kernel_w = 16}}, {f64({1, 32, 32, 1})},
                "255");
    }
};

template <>
const OpInfo& op_info<op::MaxPool2d>() {
    return describe<op::MaxPool2d>();
}

Tensor max_pool2d(const Tensor& x, const PoolOptions& options) {
    return apply<op::MaxPool2d>({options}, {x})[0];
}

}  // namespace microtome
