#include "autograd/ops/average_pool_op.hpp"
#include "autograd/ops/reductions.hpp"

namespace microtome {

struct op::AveragePool2d {
    static constexpr const char* name = "average_pool2d";
    static constexpr std::string_view formula = "y = mean of x over each window";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::closed;
    using Attributes = AverageWindows;

    static Specs shape_rule(const Attributes& a, const Specs& in) {
        require_floating(name, in[0]);
        return {{a.windows(name, in[0].shape).output(), in[0].dtype, in[0].device}};
    }
    static void forward(const Attributes& a, const Tensors& in, Tensors& out, KernelContext& context) {
        kernels::average_pool2d(a.windows(name, in[0].shape()), in[0], out[0], context);
    }
    static Saves saves(const Attributes&, Needs) { return {}; }
    static Tensors vjp(const Attributes& a, const Recorded& record, const Tensors& g) {
        const Shape& x = record.input_specs[0].shape;
        return {average_unpool(g[0], {a, x[1], x[2]})};
    }
    static void samples(Samples<AveragePool2d>& s) {
        average_pool_geometries([&](std::string text, const Shape& x, const AverageWindows& windows) {
            s.add(std::move(text), windows, {uniform(x)});
        });
        s.fails("not images", {}, {f64({4, 4, 1})}, "(N, H, W, C)");
        s.fails("a window larger than the image", {}, {f64({1, 1, 4, 1})}, "at least 2x2");
        s.fails("no pixels", {.oh = 1, .ow = 1}, {f64({1, 0, 4, 1})}, "with pixels");
        s.fails("integers", {}, {i64({1, 4, 4, 1})}, "floating");
    }
};

template <>
const OpInfo& op_info<op::AveragePool2d>() {
    return describe<op::AveragePool2d>();
}

Tensor average_pool(const Tensor& x, const AverageWindows& windows) {
    return apply<op::AveragePool2d>(windows, {x})[0];
}

Tensor average_pool2d(const Tensor& x, const PoolOptions& options) {
    return average_pool(x, {.options = options});
}

Tensor adaptive_average_pool2d(const Tensor& x, int64_t oh, int64_t ow) {
    adaptive_windows("adaptive_average_pool2d", x.shape(), oh, ow);
    return average_pool(x, {.oh = oh, .ow = ow});
}

Tensor global_average_pool2d(const Tensor& x) {
    if (x.rank() != 4)
        throw ShapeError("global_average_pool2d", str("expected x (N, H, W, C), got ", x.spec()));
    return mean(x, {1, 2});
}

}  // namespace microtome
