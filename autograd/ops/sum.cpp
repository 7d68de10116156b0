#include "autograd/describe.hpp"
#include "autograd/ops/arithmetic.hpp"
#include "autograd/ops/reductions.hpp"
#include "autograd/ops/require.hpp"
#include "autograd/ops/shaping.hpp"
#include "tensor/kernels/reduce.hpp"

#include <numeric>

namespace microtome {
namespace {

Shape with_axes_of_one(const Shape& x, const std::vector<int>& axes) {
    Shape result = x;
    for (int axis : axes) result = result.with(axis, 1);
    return result;
}

Shape without_axes(const Shape& x, const std::vector<int>& axes) {
    std::vector<int64_t> sizes;
    for (int i = 0; i < x.rank(); ++i)
        if (std::find(axes.begin(), axes.end(), i) == axes.end()) sizes.push_back(x[i]);
    return Shape(std::span<const int64_t>(sizes));
}

std::vector<int> normalized(const Shape& x, std::vector<int> axes) {
    kernels::axis_mask(x, axes);  // refuses an axis that comes twice
    for (int& axis : axes) axis = x.normalize(axis);
    return axes;
}

std::vector<int> every_axis(const Tensor& x) {
    std::vector<int> axes(x.rank());
    std::iota(axes.begin(), axes.end(), 0);
    return axes;
}

}  // namespace

// The axes stay with size 1; the public functions drop them by a reshape, which costs nothing.
struct op::Sum {
    static constexpr std::string_view name = "sum";
    static constexpr std::string_view formula = "y = sum of x over axes";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::closed;
    struct Attributes {
        std::vector<int> axes;
        void each(auto&& field) const { field("axes", axes); }
    };

    static Specs shape_rule(const Attributes& a, const Specs& in) {
        require_floating(name, in[0]);
        return {{with_axes_of_one(in[0].shape, a.axes), in[0].dtype, in[0].device}};
    }
    static void forward(const Attributes&, const Tensors& in, Tensors& out, KernelContext& context) {
        kernels::sum_to(in[0], out[0], context);
    }
    static Saves saves(const Attributes&, Needs) { return {}; }
    static Tensors vjp(const Attributes&, const Recorded& record, const Tensors& g) {
        return {broadcast_to(g[0], record.input_specs[0].shape)};
    }
    static void samples(Samples<Sum>& s) {
        s.add("last axis", {{1}}, {uniform({3, 5})});
        s.add("first axis", {{0}}, {uniform({3, 5})});
        s.add("two axes apart", {{0, 2}}, {uniform({2, 3, 4})});
        s.add("more than 16 lanes", {{0}}, {uniform({37})});
        s.add("columns past a vector", {{0}}, {uniform({3, 17})});
        s.add("rows past two vectors", {{1}}, {uniform({2, 33})});
        s.extreme("tiny and huge", {{0}}, {far_apart()});
        s.add("no axis", {{}}, {uniform({3})});
        s.add("nothing to add", {{0}}, {uniform({0, 3})});
        s.fails("no such axis", {{2}}, {f64({2, 3})}, "expected an axis");
        s.fails("integers", {{0}}, {i64({2})}, "floating");
    }
};

template <>
const OpInfo& op_info<op::Sum>() {
    return describe<op::Sum>();
}

Tensor sum(const Tensor& x, const std::vector<int>& axes, Axes after) {
    std::vector<int> positive = normalized(x.shape(), axes);
    Tensor y = apply<op::Sum>({positive}, {x})[0];
    return after == Axes::keep ? y : reshape(y, without_axes(x.shape(), positive));
}

Tensor sum(const Tensor& x) {
    return sum(x, every_axis(x));
}

Tensor mean(const Tensor& x, const std::vector<int>& axes, Axes after) {
    int64_t count = 1;
    for (int axis : normalized(x.shape(), axes)) count *= x.size(axis);
    if (count == 0) throw ShapeError("mean", str("expected at least one element to average, got ", x.spec()));
    return sum(x, axes, after) / static_cast<double>(count);
}

Tensor mean(const Tensor& x) {
    return mean(x, every_axis(x));
}

}  // namespace microtome
