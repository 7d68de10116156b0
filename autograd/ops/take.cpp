#include "autograd/describe.hpp"
#include "autograd/ops/indexing.hpp"
#include "autograd/ops/require.hpp"
#include "tensor/kernels/index.hpp"

namespace microtome {

struct op::Take {
    static constexpr std::string_view name = "take";
    static constexpr std::string_view formula = "y[i.., ...] = x[index[i..], ...]";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::closed;
    using Attributes = NoAttributes;

    static Specs shape_rule(const Attributes&, const Specs& in) {
        const Shape &x = in[0].shape, &index = in[1].shape;
        require_indexed(name, in[0], in[1]);
        if (x.rank() == 0) throw ShapeError(name, str("expected rows to take, got ", in[0]));
        std::vector<int64_t> sizes(index.begin(), index.end());
        sizes.insert(sizes.end(), x.begin() + 1, x.end());
        return {{Shape(std::span<const int64_t>(sizes)), in[0].dtype, in[0].device}};
    }
    static void forward(const Attributes&, const Tensors& in, Tensors& out, KernelContext& context) {
        kernels::take_rows(in[0], in[1], out[0], context);
    }
    static Saves saves(const Attributes&, Needs) { return Saves().input(1); }
    static Tensors vjp(const Attributes&, const Recorded& record, const Tensors& g) {
        return {add_rows(g[0], record.input(1), record.input_specs[0].shape[0])};
    }
    static void samples(Samples<Take>& s) {
        s.add("rows, some twice", {}, {uniform({3, 4}), integers({5}, 3)});
        s.add("a table of indices", {}, {uniform({4, 2}), integers({2, 3}, 4)});
        s.add("elements", {}, {uniform({5}), integers({3}, 5)});
        s.add("one", {}, {uniform({3, 2}), integers({}, 3)});
        s.add("none", {}, {uniform({3, 2}), integers({0}, 3)});
        s.fails("a scalar", {}, {f64({}), i64({2})}, "rows to take");
        s.fails("indices of a wrong type", {}, {f64({4, 3}), f64({4})}, "i64");
    }
};

template <>
const OpInfo& op_info<op::Take>() {
    return describe<op::Take>();
}

Tensor take(const Tensor& x, const Tensor& index) {
    return apply<op::Take>({}, {x, index})[0];
}

}  // namespace microtome
