#include "autograd/ops/average_pool_op.hpp"

namespace microtome {

struct op::AverageUnpool2d {
    static constexpr const char* name = "average_unpool2d";
    static constexpr std::string_view formula =
        "x = sum over the windows around it of g / pixels of the window";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::closed;
    using Attributes = AverageUnpoolAttributes;

    static Specs shape_rule(const Attributes& a, const Specs& in) {
        const Shape& g = in[0].shape;
        require_floating(name, in[0]);
        if (g.rank() != 4) throw ShapeError(name, str("expected g (N, OH, OW, C), got ", g));
        const PoolWindows windows = geometry(a, g);
        if (!(g == windows.output()))
            throw ShapeError(
                name, str("expected g ", windows.output(), " for an image of ", a.h, "x", a.w, ", got ", g));
        return {{windows.input(), in[0].dtype, in[0].device}};
    }
    static PoolWindows geometry(const Attributes& a, const Shape& g) {
        return a.pooling.windows(name, Shape{g[0], a.h, a.w, g[3]});
    }
    static void forward(const Attributes& a, const Tensors& in, Tensors& out, KernelContext& context) {
        kernels::average_unpool2d(geometry(a, in[0].shape()), in[0], out[0], context);
    }
    static Saves saves(const Attributes&, Needs) { return {}; }
    static Tensors vjp(const Attributes& a, const Recorded&, const Tensors& g) {
        return {average_pool(g[0], a.pooling)};
    }
    static void samples(Samples<AverageUnpool2d>& s) {
        average_pool_geometries([&](std::string text, const Shape& x, const AverageWindows& windows) {
            s.add(std::move(text), {windows, x[1], x[2]}, {uniform(windows.windows("sample", x).output())});
        });
        s.fails("another size", {{}, 4, 4}, {f64({1, 3, 2, 1})}, "expected g (1,2,2,1)");
        s.fails("not images", {{}, 4, 4}, {f64({2, 2, 1})}, "(N, OH, OW, C)");
    }
};

template <>
const OpInfo& op_info<op::AverageUnpool2d>() {
    return describe<op::AverageUnpool2d>();
}

Tensor average_unpool(const Tensor& g, const AverageUnpoolAttributes& attributes) {
    return apply<op::AverageUnpool2d>(attributes, {g})[0];
}

}  // namespace microtome
