#include "autograd/ops/indexing.hpp"
#include "autograd/ops/pool_op.hpp"
#include "autograd/ops/shaping.hpp"

namespace microtome {

struct op::AdaptiveMaxPool2d {
    static constexpr const char* name = "adaptive_max_pool2d";
    static constexpr std::string_view formula = "y = max of x over each of oh x ow windows";
    static constexpr std::string_view kinks = "ties: the gradient goes to the first of equals";
    static constexpr SecondOrder second_order = SecondOrder::closed;
    struct Attributes {
        int64_t oh = 1, ow = 1;
        void each(auto&& field) const {
            field("oh", oh);
            field("ow", ow);
        }
    };

    static PoolWindows geometry(const Attributes& a, const Shape& x) {
        return adaptive_windows(name, x, a.oh, a.ow);
    }
    static Specs shape_rule(const Attributes& a, const Specs& in) {
        require_floating(name, in[0]);
        return {{geometry(a, in[0].shape).output(), in[0].dtype, in[0].device}};
    }
    static Specs gates(const Attributes& a, const Specs& in) {
        return {{geometry(a, in[0].shape).output(), Dtype::i64, in[0].device}};
    }
    static void forward(const Attributes& a, const Tensors& in, Tensors& out, KernelContext& context) {
        kernels::windowed_max(geometry(a, in[0].shape()), in[0], out[0], out.size() > 1 ? &out[1] : nullptr,
                              context);
    }
    static Saves saves(const Attributes&, Needs) { return Saves().gates(); }
    static Tensors vjp(const Attributes&, const Recorded& record, const Tensors& g) {
        const Shape &x = record.input_specs[0].shape, &y = record.output_specs[0].shape;
        const Shape pixels{y[0], y[1] * y[2], y[3]};
        const Tensor winner = reshape(record.gate(0), pixels);
        return {reshape(scatter_add(reshape(g[0], pixels), winner, 1, x[1] * x[2]), x)};
    }
    static void samples(Samples<AdaptiveMaxPool2d>& s) {
        s.add("evenly", {2, 2}, {distinct({2, 4, 4, 2})});
        s.add("with overlap", {3, 4}, {distinct({1, 5, 7, 1})});
        s.add("more windows than pixels", {3, 5}, {distinct({1, 2, 3, 2})});
        s.add("the whole image", {1, 1}, {distinct({2, 3, 3, 2})});
        s.add("no images", {1, 1}, {distinct({0, 2, 2, 1})});
        s.kink("four equals", {1, 1}, {Tensor::full({1, 2, 2, 1}, 3, Dtype::f64)},
               {Tensor::full({1, 1, 1, 1}, 5, Dtype::f64)}, {Tensor::of({5.0, 0.0, 0.0, 0.0}, {1, 2, 2, 1})});
        s.fails("not images", {1, 1}, {f64({4, 4, 1})}, "(N, H, W, C)");
        s.fails("no windows", {0, 1}, {f64({1, 4, 4, 1})}, "1x1 or more");
        s.fails("integers", {1, 1}, {i64({1, 4, 4, 1})}, "floating");
    }
};

template <>
const OpInfo& op_info<op::AdaptiveMaxPool2d>() {
    return describe<op::AdaptiveMaxPool2d>();
}

Tensor adaptive_max_pool2d(const Tensor& x, int64_t oh, int64_t ow) {
    return apply<op::AdaptiveMaxPool2d>({oh, ow}, {x})[0];
}

}  // namespace microtome
