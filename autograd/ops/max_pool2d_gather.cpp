#include "autograd/ops/pool_op.hpp"

namespace microtome {

struct op::MaxPool2dGather {
    static constexpr const char* name = "max_pool2d_gather";
    static constexpr std::string_view formula = "y[window] = x at the window's winner";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::closed;
    struct Attributes {
        PoolOptions options;
        void each(auto&& field) const { each_pool_option(options, field); }
    };

    static Specs shape_rule(const Attributes& a, const Specs& in) {
        PoolShape shape = max_pool_shape(name, in[0].shape, a.options);
        if (!(in[1] == Spec{shape.output(), Dtype::u8, in[1].device}))
            throw ShapeError(name,
                             str("expected u8 winners ", shape.output(), " for x ", in[0], ", got ", in[1]));
        return {{shape.output(), in[0].dtype, in[0].device}};
    }
    static void forward(const Attributes& a, const Tensors& in, Tensors& out, KernelContext& context) {
        PoolShape shape = max_pool_shape(name, in[0].shape(), a.options);
        require_winners(name, shape, in[1]);
        kernels::max_pool2d_gather(shape, in[0], in[1], out[0], context);
    }
    static Saves saves(const Attributes&, Needs) { return Saves().input(1); }
    static Tensors vjp(const Attributes& a, const Recorded& record, const Tensors& g) {
        const Shape& x = record.input_specs[0].shape;
        return {max_unpool2d(g[0], record.input(1), x[1], x[2], a.options)};
    }
    static void samples(Samples<MaxPool2dGather>& s) {
        pool_geometries([&](std::string text, const Shape& x, const PoolOptions& options) {
            s.add(std::move(text), {options}, {uniform(x), sample_winners(x, options)});
        });
        s.fails("winners of another shape", {}, {f64({1, 4, 4, 1}), Spec{{1, 2, 1, 1}, Dtype::u8, kCpu}},
                "winners (1,2,2,1)");
    }
};

template <>
const OpInfo& op_info<op::MaxPool2dGather>() {
    return describe<op::MaxPool2dGather>();
}

Tensor max_pool2d_gather(const Tensor& x, const Tensor& winner, const PoolOptions& options) {
    return apply<op::MaxPool2dGather>({options}, {x, winner})[0];
}

}  // namespace microtome
