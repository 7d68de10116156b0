#include "autograd/describe.hpp"
#include "autograd/ops/indexing.hpp"
#include "autograd/ops/require.hpp"
#include "tensor/kernels/index.hpp"

namespace microtome {

struct op::ScatterAdd {
    static constexpr std::string_view name = "scatter_add";
    static constexpr std::string_view formula = "x[.., index[.., i, ..], ..] += g[.., i, ..]";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::closed;
    struct Attributes {
        int axis = 0;
        int64_t size = 0;
        void each(auto&& field) const {
            field("axis", axis);
            field("size", size);
        }
    };

    static Specs shape_rule(const Attributes& a, const Specs& in) {
        require_indexed(name, in[0], in[1]);
        if (!(in[0].shape == in[1].shape))
            throw ShapeError(name, str("expected one index for each element of ", in[0], ", got ", in[1]));
        return {{in[0].shape.with(a.axis, a.size), in[0].dtype, in[0].device}};
    }
    static void forward(const Attributes& a, const Tensors& in, Tensors& out, KernelContext& context) {
        kernels::scatter_add(in[0], in[1], a.axis, out[0], context);
    }
    static Saves saves(const Attributes&, Needs) { return Saves().input(1); }
    static Tensors vjp(const Attributes& a, const Recorded& record, const Tensors& g) {
        return {gather(g[0], record.input(1), a.axis)};
    }
    static void samples(Samples<ScatterAdd>& s) {
        s.add("one per row", {1, 3}, {uniform({4, 1}), integers({4, 1}, 3)});
        s.add("collisions", {0, 2}, {uniform({5, 3}), integers({5, 3}, 2)});
        s.add("in the middle", {1, 3}, {uniform({2, 4, 2}), integers({2, 4, 2}, 3)});
        s.add("none", {0, 3}, {uniform({0}), integers({0}, 3)});
        s.fails("an index missing", {0, 3}, {f64({4}), i64({3})}, "one index for each");
    }
};

template <>
const OpInfo& op_info<op::ScatterAdd>() {
    return describe<op::ScatterAdd>();
}

Tensor scatter_add(const Tensor& g, const Tensor& index, int axis, int64_t size) {
    return apply<op::ScatterAdd>({g.shape().normalize(axis), size}, {g, index})[0];
}

}  // namespace microtome
