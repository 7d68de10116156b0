#include "autograd/describe.hpp"
#include "autograd/ops/shaping.hpp"
#include "tensor/kernels/layout.hpp"

#include <array>

namespace microtome {

struct op::Permute {
    static constexpr std::string_view name = "permute";
    static constexpr std::string_view formula = "y = x with its axes in another order";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::closed;
    struct Attributes {
        std::vector<int> order;
        void each(auto&& field) const { field("order", order); }
    };

    static Specs shape_rule(const Attributes& a, const Specs& in) {
        const Shape& x = in[0].shape;
        std::vector<int64_t> sizes;
        unsigned seen = 0;
        for (int axis : a.order) {
            if (axis >= 0 && axis < x.rank()) seen |= 1u << axis;
        }
        if (static_cast<int>(a.order.size()) != x.rank() || seen != (1u << x.rank()) - 1)
            throw ShapeError(name,
                             str("expected each of the ", x.rank(), " axes of ", in[0], " once, got ", [&] {
                                 AttributePrinter p;
                                 a.each(p);
                                 return p.text();
                             }()));
        for (int axis : a.order) sizes.push_back(x[axis]);
        return {{Shape(std::span<const int64_t>(sizes)), in[0].dtype, in[0].device}};
    }
    static void forward(const Attributes& a, const Tensors& in, Tensors& out, KernelContext& context) {
        kernels::permute(in[0], a.order, out[0], context);
    }
    static Saves saves(const Attributes&, Needs) { return {}; }
    static Tensors vjp(const Attributes& a, const Recorded&, const Tensors& g) {
        std::vector<int> inverse(a.order.size());
        for (std::size_t i = 0; i < a.order.size(); ++i) inverse[a.order[i]] = static_cast<int>(i);
        return {permute(g[0], inverse)};
    }
    static void samples(Samples<Permute>& s) {
        s.add("transpose", {{1, 0}}, {uniform({3, 5})});
        s.add("a cycle, which is not its own inverse", {{2, 0, 1}}, {uniform({2, 3, 4})});
        s.add("nhwc to nchw", {{0, 3, 1, 2}}, {uniform({2, 3, 2, 5})});
        s.add("scalar", {{}}, {uniform({})});
        s.add("empty", {{1, 0}}, {uniform({0, 3})});
        s.fails("an axis twice", {{0, 0}}, {f64({2, 3})}, "each of the 2 axes");
        s.fails("too few", {{0}}, {f64({2, 3})}, "each of the 2 axes");
    }
};

template <>
const OpInfo& op_info<op::Permute>() {
    return describe<op::Permute>();
}

Tensor permute(const Tensor& x, const std::vector<int>& order) {
    return apply<op::Permute>({order}, {x})[0];
}

Tensor transpose(const Tensor& x) {
    if (x.rank() < 2) throw ShapeError("transpose", str("expected at least two axes, got ", x.spec()));
    std::vector<int> order(x.rank());
    for (int i = 0; i < x.rank(); ++i) order[i] = i;
    std::swap(order[x.rank() - 1], order[x.rank() - 2]);
    return permute(x, order);
}

}  // namespace microtome
