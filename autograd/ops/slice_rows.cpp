#include "autograd/describe.hpp"
#include "autograd/ops/shaping.hpp"

namespace microtome {

// Rows of the first axis lie together in memory, so the slice is a view.
struct op::SliceRows {
    static constexpr std::string_view name = "slice_rows";
    static constexpr std::string_view formula = "y[i,...] = x[begin + i, ...]";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::closed;
    struct Attributes {
        int64_t begin = 0, end = 0;
        void each(auto&& field) const {
            field("begin", begin);
            field("end", end);
        }
    };

    static Specs shape_rule(const Attributes& a, const Specs& in) {
        const Shape& x = in[0].shape;
        if (x.rank() == 0) throw ShapeError(name, str("expected a first axis, got ", in[0]));
        if (a.begin < 0 || a.begin > a.end || a.end > x[0])
            throw ShapeError(name, str("expected 0 <= begin <= end <= ", x[0], " for the rows of ", in[0],
                                       ", got ", a.begin, " and ", a.end));
        return {{x.with(0, a.end - a.begin), in[0].dtype, in[0].device}};
    }
    static Tensors view(const Attributes& a, const Tensors& in) {
        const Shape rows = in[0].shape().with(0, a.end - a.begin);
        const int64_t row = in[0].size(0) == 0 ? 0 : in[0].elements() / in[0].size(0);
        return {in[0].view(rows, a.begin * row)};
    }
    static Saves saves(const Attributes&, Needs) { return {}; }
    static Tensors vjp(const Attributes& a, const Recorded& record, const Tensors& g) {
        const Shape& x = record.input_specs[0].shape;
        std::vector<Margin> margins(x.rank());
        margins[0] = {a.begin, x[0] - a.end};
        return {pad(g[0], margins)};
    }
    static void samples(Samples<SliceRows>& s) {
        s.add("one row", {1, 2}, {uniform({3, 5})});
        s.add("the first", {0, 2}, {uniform({3, 2, 2})});
        s.add("of a vector", {2, 7}, {uniform({7})});
        s.add("none", {1, 1}, {uniform({3, 5})});
        s.fails("past the end", {1, 4}, {f64({3, 5})}, "end <= 3");
        s.fails("a scalar", {0, 1}, {f64({})}, "a first axis");
    }
};

template <>
const OpInfo& op_info<op::SliceRows>() {
    return describe<op::SliceRows>();
}

Tensor slice_rows(const Tensor& x, int64_t begin, int64_t end) {
    return apply<op::SliceRows>({begin, end}, {x})[0];
}

}  // namespace microtome
