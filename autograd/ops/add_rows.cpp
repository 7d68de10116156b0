#include "autograd/describe.hpp"
#include "autograd/ops/indexing.hpp"
#include "autograd/ops/require.hpp"
#include "tensor/kernels/index.hpp"

namespace microtome {

struct op::AddRows {
    static constexpr std::string_view name = "add_rows";
    static constexpr std::string_view formula = "x = 0, then x[index[i..], ...] += g[i.., ...]";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::closed;
    struct Attributes {
        int64_t rows = 0;
        void each(auto&& field) const { field("rows", rows); }
    };

    static Specs shape_rule(const Attributes& a, const Specs& in) {
        const Shape &g = in[0].shape, &index = in[1].shape;
        require_indexed(name, in[0], in[1]);
        if (a.rows < 0) throw ShapeError(name, str("expected 0 rows or more, got ", a.rows));
        if (g.rank() < index.rank() || !std::equal(index.begin(), index.end(), g.begin()))
            throw ShapeError(name, str("expected one index for each row of ", in[0], ", got ", in[1]));
        std::vector<int64_t> sizes{a.rows};
        sizes.insert(sizes.end(), g.begin() + index.rank(), g.end());
        return {{Shape(std::span<const int64_t>(sizes)), in[0].dtype, in[0].device}};
    }
    static void forward(const Attributes&, const Tensors& in, Tensors& out, KernelContext& context) {
        kernels::add_rows(in[0], in[1], out[0], context);
    }
    static Saves saves(const Attributes&, Needs) { return Saves().input(1); }
    static Tensors vjp(const Attributes&, const Recorded& record, const Tensors& g) {
        return {take(g[0], record.input(1))};
    }
    static void samples(Samples<AddRows>& s) {
        s.add("collisions", {3}, {uniform({5, 4}), integers({5}, 3)});
        s.add("a table of indices", {4}, {uniform({2, 3, 2}), integers({2, 3}, 4)});
        s.add("elements", {5}, {uniform({3}), integers({3}, 5)});
        s.add("one", {3}, {uniform({2}), integers({}, 3)});
        s.add("none", {3}, {uniform({0, 2}), integers({0}, 3)});
        s.fails("an index missing", {3}, {f64({4, 2}), i64({3})}, "one index for each row");
        s.fails("fewer than no rows", {-1}, {f64({4, 2}), i64({4})}, "0 rows or more");
    }
};

template <>
const OpInfo& op_info<op::AddRows>() {
    return describe<op::AddRows>();
}

Tensor add_rows(const Tensor& g, const Tensor& index, int64_t rows) {
    return apply<op::AddRows>({rows}, {g, index})[0];
}

}  // namespace microtome
