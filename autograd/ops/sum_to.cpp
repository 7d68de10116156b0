#include "autograd/describe.hpp"
#include "autograd/ops/shaping.hpp"
#include "tensor/kernels/elementwise.hpp"
#include "tensor/kernels/reduce.hpp"

namespace microtome {

struct op::SumTo {
    static constexpr std::string_view name = "sum_to";
    static constexpr std::string_view formula =
        "y = x summed over the axes that broadcasting y would stretch";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::closed;
    struct Attributes {
        Shape shape;
        void each(auto&& field) const { field("shape", shape); }
    };

    static Specs shape_rule(const Attributes& a, const Specs& in) {
        if (!(kernels::broadcast_shape(name, a.shape, in[0].shape) == in[0].shape))
            throw ShapeError(name,
                             str("expected a shape that can be broadcast to ", in[0], ", got ", a.shape));
        return {{a.shape, in[0].dtype, in[0].device}};
    }
    static void forward(const Attributes&, const Tensors& in, Tensors& out, KernelContext& context) {
        kernels::sum_to(in[0], out[0], context);
    }
    static Saves saves(const Attributes&, Needs) { return {}; }
    static Tensors vjp(const Attributes&, const Recorded& record, const Tensors& g) {
        return {broadcast_to(g[0], record.input_specs[0].shape)};
    }
    static void samples(Samples<SumTo>& s) {
        s.add("to a row", {{3}}, {uniform({4, 3})});
        s.add("to a column", {{3, 1}}, {uniform({3, 4})});
        s.add("the middle", {{2, 1, 3}}, {uniform({2, 5, 3})});
        s.add("to a scalar", {{}}, {uniform({2, 17})});
        s.add("columns past a vector", {{17}}, {uniform({3, 17})});
        s.add("nothing to add", {{3}}, {uniform({0, 3})});
        s.fails("a size that is not 1", {{2}}, {f64({4, 3})}, "shapes that broadcast");
    }
};

template <>
const OpInfo& op_info<op::SumTo>() {
    return describe<op::SumTo>();
}

Tensor sum_to(const Tensor& g, const Shape& shape) {
    return g.defined() && g.shape() == shape ? g : apply<op::SumTo>({shape}, {g})[0];
}

}  // namespace microtome
