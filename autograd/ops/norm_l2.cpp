#include "autograd/describe.hpp"
#include "autograd/ops/arithmetic.hpp"
#include "autograd/ops/comparison.hpp"
#include "autograd/ops/reductions.hpp"
#include "autograd/ops/require.hpp"
#include "autograd/ops/shaping.hpp"
#include "tensor/kernels/norms.hpp"

namespace microtome {
namespace {

// (N) seen against (N, ...).
Tensor per_sample(const Tensor& y, const Shape& x) {
    Shape shape = y.shape();
    std::vector<int64_t> sizes(static_cast<std::size_t>(x.rank()), 1);
    sizes[0] = shape[0];
    return reshape(y, Shape(std::span<const int64_t>(sizes)));
}

}  // namespace

struct op::NormL2 {
    static constexpr std::string_view name = "norm_l2";
    static constexpr std::string_view formula = "y = sqrt(sum of x^2) of each sample";
    static constexpr std::string_view kinks = "a sample that is 0: its gradient is 0";
    static constexpr SecondOrder second_order = SecondOrder::closed;
    using Attributes = NoAttributes;

    static Specs shape_rule(const Attributes&, const Specs& in) {
        require_floating(name, in[0]);
        if (in[0].shape.rank() == 0) throw ShapeError(name, str("expected samples (N, ...), got ", in[0]));
        return {{Shape{in[0].shape[0]}, in[0].dtype, in[0].device}};
    }
    static void forward(const Attributes&, const Tensors& in, Tensors& out, KernelContext& context) {
        kernels::norm_l2(in[0], out[0], context);
    }
    static Saves saves(const Attributes&, Needs) { return Saves().input(0).output(0); }
    // x / |x|, whose length is 1; where |x| = 0, x / 1.
    static Tensors vjp(const Attributes&, const Recorded& record, const Tensors& g) {
        const Tensor &x = record.input(0), &y = record.output(0);
        return {x / per_sample(where(y, y, 1.0), x.shape()) * per_sample(g[0], x.shape())};
    }
    static void samples(Samples<NormL2>& s) {
        s.add("images", {}, {uniform({2, 3, 2, 2})});
        s.add("more than 16 lanes", {}, {uniform({1, 37})});
        s.extreme("tiny and huge", {}, {Tensor::of({3e-90, 4e-90, 3e90, -4e90, 1e-30, 2e-30}, {3, 2})});
        s.add("single numbers", {}, {away_from_zero({4})});
        s.add("no samples", {}, {uniform({0, 3})});
        s.add("empty samples", {}, {uniform({2, 0})});
        s.kink("a zero sample", {}, {Tensor::of({0.0, -0.0, 3.0, 4.0}, {2, 2})},
               {Tensor::of({5.0, 5.0}, {2})}, {Tensor::of({0.0, 0.0, 3.0, 4.0}, {2, 2})});
        s.fails("no axis of samples", {}, {f64({})}, "(N, ...)");
        s.fails("integers", {}, {i64({2})}, "floating");
    }
};

template <>
const OpInfo& op_info<op::NormL2>() {
    return describe<op::NormL2>();
}

Tensor norm_l2(const Tensor& x) {
    return apply<op::NormL2>({}, {x})[0];
}

}  // namespace microtome
