#include "autograd/describe.hpp"
#include "autograd/ops/indexing.hpp"
#include "autograd/ops/require.hpp"
#include "tensor/kernels/index.hpp"

namespace microtome {

struct op::Gather {
    static constexpr std::string_view name = "gather";
    static constexpr std::string_view formula = "y[.., i, ..] = x[.., index[.., i, ..], ..]";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::closed;
    struct Attributes {
        int axis = 0;
        void each(auto&& field) const { field("axis", axis); }
    };

    static Specs shape_rule(const Attributes& a, const Specs& in) {
        const Shape &x = in[0].shape, &index = in[1].shape;
        require_indexed(name, in[0], in[1]);
        if (x.rank() != index.rank() || !(index == x.with(a.axis, index[a.axis])))
            throw ShapeError(name, str("expected indices that agree with ", in[0], " except on axis ", a.axis,
                                       ", got ", in[1]));
        return {{index, in[0].dtype, in[0].device}};
    }
    static void forward(const Attributes& a, const Tensors& in, Tensors& out, KernelContext& context) {
        kernels::gather(in[0], in[1], a.axis, out[0], context);
    }
    static Saves saves(const Attributes&, Needs) { return Saves().input(1); }
    static Tensors vjp(const Attributes& a, const Recorded& record, const Tensors& g) {
        return {scatter_add(g[0], record.input(1), a.axis, record.input_specs[0].shape[a.axis])};
    }
    static void samples(Samples<Gather>& s) {
        s.add("one per row", {1}, {uniform({4, 3}), integers({4, 1}, 3)});
        s.add("repeats", {0}, {uniform({2, 3}), integers({5, 3}, 2)});
        s.add("in the middle", {1}, {uniform({2, 3, 2}), integers({2, 4, 2}, 3)});
        s.add("none", {0}, {uniform({3}), integers({0}, 3)});
        s.fails("another axis differs", {1}, {f64({4, 3}), i64({5, 1})}, "except on axis 1");
        s.fails("indices of a wrong type", {1}, {f64({4, 3}), f64({4, 1})}, "i64");
    }
};

template <>
const OpInfo& op_info<op::Gather>() {
    return describe<op::Gather>();
}

Tensor gather(const Tensor& x, const Tensor& index, int axis) {
    return apply<op::Gather>({x.shape().normalize(axis)}, {x, index})[0];
}

}  // namespace microtome
