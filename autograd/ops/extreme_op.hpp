// What max and min, argmax and argmin share: one axis, which stays with size 1, and the first of equals.
#pragma once

#include "autograd/describe.hpp"
#include "autograd/ops/indexing.hpp"
#include "autograd/ops/reductions.hpp"
#include "autograd/ops/require.hpp"
#include "autograd/ops/shaping.hpp"
#include "tensor/kernels/reduce.hpp"

namespace microtome {

struct OneAxis {
    int axis = 0;
    void each(auto&& field) const { field("axis", axis); }
};

inline Shape extreme_shape(std::string_view op, const OneAxis& a, const Spec& x) {
    require_floating(op, x);
    if (x.shape[a.axis] == 0)
        throw ShapeError(op, str("expected at least one element to choose from, got ", x));
    return x.shape.with(a.axis, 1);
}

// The vjp wants to know where the extreme lay and nothing else.
template <class Op, auto arg_kernel, kernels::Reduction reduction>
struct ExtremeOp {
    static constexpr std::string_view kinks = "equals: the gradient goes to the first of them";
    static constexpr SecondOrder second_order = SecondOrder::closed;
    using Attributes = OneAxis;

    static Specs shape_rule(const Attributes& a, const Specs& in) {
        return {{extreme_shape(Op::name, a, in[0]), in[0].dtype, in[0].device}};
    }
    static Specs gates(const Attributes& a, const Specs& in) {
        return {{in[0].shape.with(a.axis, 1), Dtype::i64, in[0].device}};
    }
    static void forward(const Attributes& a, const Tensors& in, Tensors& out, KernelContext& context) {
        // Of equal dual numbers, too, the first: a reduction takes any of them.
        if (out.size() > 1) {
            arg_kernel(in[0], a.axis, out[0], out[1], context);
        } else if (in[0].dtype() == Dtype::dual) {
            Tensor indices({out[0].shape(), Dtype::i64, kCpu});
            arg_kernel(in[0], a.axis, out[0], indices, context);
        } else {
            kernels::reduce(reduction, in[0], kernels::axis_mask(in[0].shape(), {a.axis}), out[0], context);
        }
    }
    static Saves saves(const Attributes&, Needs) { return Saves().gates(); }
    static Tensors vjp(const Attributes& a, const Recorded& record, const Tensors& g) {
        return {scatter_add(g[0], record.gate(0), a.axis, record.input_specs[0].shape[a.axis])};
    }
    static void samples(Samples<Op>& s) {
        s.add("last axis", {1}, {distinct({3, 5})});
        s.add("first axis", {0}, {distinct({5, 3})});
        s.add("in the middle", {1}, {distinct({2, 3, 4})});
        s.add("more than 16 lanes", {0}, {distinct({37})});
        s.add("a choice of one", {1}, {distinct({3, 1})});
        s.add("columns past a vector", {0}, {distinct({2, 17})});
        s.add("one past two vectors", {1}, {distinct({2, 33})});
        s.extreme("tiny and huge", {0}, {far_apart()});
        s.add("no rows", {1}, {uniform({0, 3})});
        s.kink("equals", {1}, {Tensor::of({2.0, 2.0, 2.0, 1.0, 1.0, 1.0}, {2, 3})},
               {Tensor::of({5.0, 6.0}, {2, 1})}, {Tensor::of({5.0, 0.0, 0.0, 6.0, 0.0, 0.0}, {2, 3})});
        s.fails("nothing to choose from", {1}, {f64({3, 0})}, "at least one element");
        s.fails("no such axis", {2}, {f64({3, 4})}, "expected an axis");
        s.fails("integers", {0}, {i64({2})}, "floating");
    }
};

template <class Op, auto arg_kernel>
struct ArgExtremeOp {
    static constexpr std::string_view not_differentiable = "an index jumps, and is constant in between";
    using Attributes = OneAxis;

    static Specs shape_rule(const Attributes& a, const Specs& in) {
        return {{extreme_shape(Op::name, a, in[0]), Dtype::i64, in[0].device}};
    }
    static void forward(const Attributes& a, const Tensors& in, Tensors& out, KernelContext& context) {
        Tensor values({out[0].shape(), in[0].dtype(), in[0].device()});
        arg_kernel(in[0], a.axis, values, out[0], context);
    }
    static void samples(Samples<Op>& s) {
        s.add("last axis", {1}, {distinct({3, 5})});
        s.add("first axis", {0}, {distinct({5, 3})});
        s.add("no rows", {1}, {uniform({0, 3})});
        s.fails("nothing to choose from", {1}, {f64({3, 0})}, "at least one element");
        s.fails("integers", {0}, {i64({2})}, "floating");
    }
};

// Drops the axis, which costs nothing.
inline Tensor after_extreme(const Tensor& y, int axis, Axes after) {
    return after == Axes::keep ? y : reshape(y, y.shape().without(axis));
}

}  // namespace microtome
