#include "autograd/ops/pool_op.hpp"

namespace microtome {

struct op::MaxUnpool2d {
    static constexpr const char* name = "max_unpool2d";
    static constexpr std::string_view formula = "x = 0, plus g[window] at each window's winner";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::closed;
    struct Attributes {
        PoolOptions options;
        int64_t h = 0, w = 0;
        void each(auto&& field) const {
            each_pool_option(options, field);
            field("h", h);
            field("w", w);
        }
    };

    static PoolShape geometry(const Attributes& a, const Shape& g) {
        if (g.rank() != 4) throw ShapeError(name, str("expected g (N, OH, OW, C), got ", g));
        return max_pool_shape(name, Shape{g[0], a.h, a.w, g[3]}, a.options);
    }
    static Specs shape_rule(const Attributes& a, const Specs& in) {
        PoolShape shape = geometry(a, in[0].shape);
        if (!(in[0].shape == shape.output()) || !(in[1] == Spec{shape.output(), Dtype::u8, in[1].device}))
            throw ShapeError(
                name, str("expected g and u8 winners ", shape.output(), ", got ", in[0], " and ", in[1]));
        return {{shape.input(), in[0].dtype, in[0].device}};
    }
    static void forward(const Attributes& a, const Tensors& in, Tensors& out, KernelContext& context) {
        PoolShape shape = geometry(a, in[0].shape());
        require_winners(name, shape, in[1]);
        kernels::max_unpool2d(shape, in[0], in[1], out[0], context);
    }
    static Saves saves(const Attributes&, Needs) { return Saves().input(1); }
    static Tensors vjp(const Attributes& a, const Recorded& record, const Tensors& g) {
        return {max_pool2d_gather(g[0], record.input(1), a.options)};
    }
    static void samples(Samples<MaxUnpool2d>& s) {
        pool_geometries([&](std::string text, const Shape& x, const PoolOptions& options) {
            s.add(std::move(text), {options, x[1], x[2]},
                  {uniform(max_pool_shape("sample", x, options).output()), sample_winners(x, options)});
        });
        s.fails("winners of another shape", {{}, 4, 4},
                {f64({1, 2, 2, 1}), Spec{{1, 2, 1, 1}, Dtype::u8, kCpu}}, "winners (1,2,2,1)");
    }
};

template <>
const OpInfo& op_info<op::MaxUnpool2d>() {
    return describe<op::MaxUnpool2d>();
}

Tensor max_unpool2d(const Tensor& g, const Tensor& winner, int64_t h, int64_t w, const PoolOptions& options) {
    return apply<op::MaxUnpool2d>({options, h, w}, {g, winner})[0];
}

}  // namespace microtome
