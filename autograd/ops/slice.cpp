#include "autograd/describe.hpp"
#include "autograd/ops/shaping.hpp"
#include "tensor/kernels/layout.hpp"

namespace microtome {

// A box out of x, copied. Slices of the first axis alone need no copy: see slice_rows.cpp.
struct op::Slice {
    static constexpr std::string_view name = "slice";
    static constexpr std::string_view formula = "y[i,j,...] = x[begin0 + i, begin1 + j, ...]";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::closed;
    struct Attributes {
        std::vector<int64_t> begin, end;
        void each(auto&& field) const {
            field("begin", begin);
            field("end", end);
        }
    };

    static Specs shape_rule(const Attributes& a, const Specs& in) {
        const Shape& x = in[0].shape;
        const auto rank = static_cast<std::size_t>(x.rank());
        if (a.begin.size() != rank || a.end.size() != rank)
            throw ShapeError(name, str("expected a begin and an end for each axis of ", in[0], ", got ",
                                       a.begin.size(), " and ", a.end.size()));
        std::vector<int64_t> sizes;
        for (int axis = 0; axis < x.rank(); ++axis) {
            if (a.begin[axis] < 0 || a.begin[axis] > a.end[axis] || a.end[axis] > x[axis])
                throw ShapeError(name, str("expected 0 <= begin <= end <= ", x[axis], " on axis ", axis,
                                           " of ", in[0], ", got ", a.begin[axis], " and ", a.end[axis]));
            sizes.push_back(a.end[axis] - a.begin[axis]);
        }
        return {{Shape(std::span<const int64_t>(sizes)), in[0].dtype, in[0].device}};
    }
    static void forward(const Attributes& a, const Tensors& in, Tensors& out, KernelContext& context) {
        kernels::copy_from_box(in[0], a.begin, out[0], context);
    }
    static Saves saves(const Attributes&, Needs) { return {}; }
    static Tensors vjp(const Attributes& a, const Recorded& record, const Tensors& g) {
        const Shape& x = record.input_specs[0].shape;
        std::vector<Margin> margins;
        for (int axis = 0; axis < x.rank(); ++axis) margins.push_back({a.begin[axis], x[axis] - a.end[axis]});
        return {pad(g[0], margins)};
    }
    static void samples(Samples<Slice>& s) {
        s.add("the middle of the last axis", {{0, 2}, {3, 4}}, {uniform({3, 5})});
        s.add("a box", {{1, 0, 2}, {2, 3, 4}}, {uniform({2, 3, 5})});
        s.add("everything", {{0, 0}, {2, 3}}, {uniform({2, 3})});
        s.add("nothing", {{0, 1}, {2, 1}}, {uniform({2, 3})});
        s.add("of nothing", {{0, 1}, {0, 2}}, {uniform({0, 3})});
        s.fails("past the end", {{0, 2}, {3, 6}}, {f64({3, 5})}, "end <= 5 on axis 1");
        s.fails("backwards", {{2, 0}, {1, 5}}, {f64({3, 5})}, "begin <= end");
        s.fails("below 0", {{-1, 0}, {1, 5}}, {f64({3, 5})}, "0 <= begin");
        s.fails("too few axes", {{0}, {3}}, {f64({3, 5})}, "for each axis");
    }
};

template <>
const OpInfo& op_info<op::Slice>() {
    return describe<op::Slice>();
}

Tensor slice(const Tensor& x, const std::vector<int64_t>& begin, const std::vector<int64_t>& end) {
    return apply<op::Slice>({begin, end}, {x})[0];
}

Tensor slice(const Tensor& x, int axis, int64_t begin, int64_t end) {
    axis = x.shape().normalize(axis);
    if (begin == 0 && end == x.size(axis)) return x;
    if (axis == 0) return slice_rows(x, begin, end);
    std::vector<int64_t> begins(x.rank(), 0), ends(x.shape().begin(), x.shape().end());
    begins[axis] = begin;
    ends[axis] = end;
    return slice(x, begins, ends);
}

Tensors split(const Tensor& x, int axis, const std::vector<int64_t>& sizes) {
    int64_t left = x.size(axis);
    for (int64_t size : sizes) {
        if (size < 0 || size > left)
            throw ShapeError("split", str("expected sizes that add up to ", x.size(axis), " on axis ", axis,
                                          " of ", x.spec(), ", got ", size, " where ", left, " were left"));
        left -= size;
    }
    if (left != 0)
        throw ShapeError("split", str("expected sizes that add up to ", x.size(axis), " on axis ", axis,
                                      " of ", x.spec(), ", got ", x.size(axis) - left));
    Tensors parts;
    int64_t begin = 0;
    for (int64_t size : sizes) {
        parts.push_back(slice(x, axis, begin, begin + size));
        begin += size;
    }
    return parts;
}

}  // namespace microtome
