#include "autograd/describe.hpp"
#include "autograd/ops/shaping.hpp"
#include "tensor/kernels/elementwise.hpp"
#include "tensor/kernels/reduce.hpp"

namespace microtome {

struct op::BroadcastTo {
    static constexpr std::string_view name = "broadcast_to";
    static constexpr std::string_view formula = "y = x, repeated along stretched axes";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::closed;
    struct Attributes {
        Shape shape;
        void each(auto&& field) const { field("shape", shape); }
    };

    static Specs shape_rule(const Attributes& a, const Specs& in) {
        if (!(kernels::broadcast_shape(name, in[0].shape, a.shape) == a.shape))
            throw ShapeError(name,
                             str("expected a shape that ", in[0], " can be broadcast to, got ", a.shape));
        return {{a.shape, in[0].dtype, in[0].device}};
    }
    static void forward(const Attributes&, const Tensors& in, Tensors& out, KernelContext& context) {
        kernels::broadcast_to(in[0], out[0], context);
    }
    static Saves saves(const Attributes&, Needs) { return {}; }
    static Tensors vjp(const Attributes&, const Recorded& record, const Tensors& g) {
        return {sum_to(g[0], record.input_specs[0].shape)};
    }
    static void samples(Samples<BroadcastTo>& s) {
        s.add("a row", {{4, 3}}, {uniform({3})});
        s.add("a column", {{3, 4}}, {uniform({3, 1})});
        s.add("in the middle", {{2, 5, 3}}, {uniform({2, 1, 3})});
        s.add("a scalar", {{2, 2}}, {uniform({})});
        s.add("to nothing", {{0, 3}}, {uniform({3})});
        s.fails("a size that is not 1", {{4, 3}}, {f64({2})}, "shapes that broadcast");
        s.fails("fewer axes", {{3}}, {f64({2, 3})}, "can be broadcast");
    }
};

template <>
const OpInfo& op_info<op::BroadcastTo>() {
    return describe<op::BroadcastTo>();
}

Tensor broadcast_to(const Tensor& x, const Shape& shape) {
    return x.defined() && x.shape() == shape ? x : apply<op::BroadcastTo>({shape}, {x})[0];
}

}  // namespace microtome
