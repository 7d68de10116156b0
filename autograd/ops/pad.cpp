#include "autograd/describe.hpp"
#include "autograd/ops/shaping.hpp"
#include "tensor/kernels/layout.hpp"

#include <algorithm>
#include <cstring>

namespace microtome {
namespace {

constexpr int64_t kWidest = int64_t{1} << 47;  // no shape has more elements, and sums do not overflow

}  // namespace

struct op::Pad {
    static constexpr std::string_view name = "pad";
    static constexpr std::string_view formula = "y = x in the middle of zeros";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::closed;
    struct Attributes {
        std::vector<int64_t> before, after;
        void each(auto&& field) const {
            field("before", before);
            field("after", after);
        }
    };

    static Specs shape_rule(const Attributes& a, const Specs& in) {
        const Shape& x = in[0].shape;
        const auto rank = static_cast<std::size_t>(x.rank());
        if (a.before.size() != rank || a.after.size() != rank)
            throw ShapeError(name,
                             str("expected a margin for each axis of ", in[0], ", got ", a.before.size()));
        std::vector<int64_t> sizes;
        for (int axis = 0; axis < x.rank(); ++axis) {
            if (std::min(a.before[axis], a.after[axis]) < 0 ||
                std::max(a.before[axis], a.after[axis]) > kWidest)
                throw OptionsError(name,
                                   str("expected margins from 0 to 2^47, got ", a.before[axis], " and ",
                                       a.after[axis], " on axis ", axis),
                                   "slice() takes away");
            sizes.push_back(a.before[axis] + x[axis] + a.after[axis]);
        }
        return {{Shape(std::span<const int64_t>(sizes)), in[0].dtype, in[0].device}};
    }
    static void forward(const Attributes& a, const Tensors& in, Tensors& out, KernelContext& context) {
        kernels::clear(out[0]);
        kernels::copy_into_box(in[0], a.before, out[0], context);
    }
    static Saves saves(const Attributes&, Needs) { return {}; }
    static Tensors vjp(const Attributes& a, const Recorded& record, const Tensors& g) {
        const Shape& x = record.input_specs[0].shape;
        std::vector<int64_t> end = a.before;
        for (int axis = 0; axis < x.rank(); ++axis) end[axis] += x[axis];
        return {slice(g[0], a.before, end)};
    }
    static void samples(Samples<Pad>& s) {
        s.add("an image", {{0, 1, 2, 0}, {0, 2, 0, 0}}, {uniform({2, 3, 2, 2})});
        s.add("every side", {{1, 2}, {3, 1}}, {uniform({2, 3})});
        s.add("no margin", {{0, 0}, {0, 0}}, {uniform({2, 3})});
        s.add("nothing padded", {{1, 0}, {1, 0}}, {uniform({0, 3})});
        s.add("a scalar", {{}, {}}, {uniform({})});
        s.fails("an axis without margin", {{1}, {1}}, {f64({2, 3})}, "for each axis");
        s.fails("a negative margin", {{-1, 0}, {0, 0}}, {f64({2, 3})}, "from 0");
    }
};

template <>
const OpInfo& op_info<op::Pad>() {
    return describe<op::Pad>();
}

Tensor pad(const Tensor& x, const std::vector<Margin>& margins) {
    std::vector<int64_t> before, after;
    for (const Margin& margin : margins) {
        before.push_back(margin.before);
        after.push_back(margin.after);
    }
    return apply<op::Pad>({before, after}, {x})[0];
}

Tensor pad_images(const Tensor& x, const Margin& rows, const Margin& columns) {
    if (x.rank() != 4) throw ShapeError("pad_images", str("expected x (N, H, W, C), got ", x.spec()));
    return pad(x, {{}, rows, columns, {}});
}

}  // namespace microtome
