// What element-wise ops share: shape rule and kernel call. The ops themselves add name, formula and
// derivative.
#pragma once

#include "autograd/describe.hpp"
#include "autograd/ops/arithmetic.hpp"
#include "autograd/ops/require.hpp"
#include "autograd/ops/shaping.hpp"
#include "tensor/kernels/elementwise.hpp"

namespace microtome {

// One bit per element of x: the shape of a gate.
inline Spec gate_spec(const Spec& x) {
    return {{(x.shape.elements() + 7) / 8}, Dtype::u8, x.device};
}

// y[i] = f(x[i])
template <class Op, kernels::Unary kernel>
struct UnaryOp {
    using Attributes = NoAttributes;
    static constexpr int in_place = 0;
    static Specs shape_rule(const Attributes&, const Specs& in) {
        require_floating(Op::name, in[0]);
        return {in[0]};
    }
    static void forward(const Attributes&, const Tensors& in, Tensors& out, KernelContext& context) {
        kernels::unary(kernel, in[0], out[0], context);
    }
};

// The sizes on which every op of one argument is checked.
template <class Op>
void tail_samples(Samples<Op>& s, const std::function<Tensor(const Shape&, uint64_t)>& draw) {
    for (int64_t size : kTailSizes)
        s.add(str("elements: ", size), {}, {draw({size}, static_cast<uint64_t>(size))});
}
template <class Op>
void tail_samples(Samples<Op>& s, double low, double high) {
    tail_samples(s, [=](const Shape& shape, uint64_t seed) { return uniform(shape, low, high, seed); });
}

// y[i] = f(a[i], b[i]), broadcasting
template <class Op, kernels::Binary kernel>
struct BinaryOp {
    using Attributes = NoAttributes;
    static constexpr int in_place = 0;
    static Specs shape_rule(const Attributes&, const Specs& in) {
        require_floating(Op::name, in[0]);
        require_same_dtype(Op::name, in);
        return {{kernels::broadcast_shape(Op::name, in[0].shape, in[1].shape), in[0].dtype, in[0].device}};
    }
    static void forward(const Attributes&, const Tensors& in, Tensors& out, KernelContext& context) {
        kernels::binary(kernel, in[0], in[1], out[0], context);
    }
};

// The gradient of a broadcast input: g summed over the axes along which the input was stretched.
inline Tensor unbroadcast(const Tensor& g, const Recorded& record, int input) {
    return sum_to(g, record.input_specs[input].shape);
}

// The pairs of shapes on which every broadcasting op is checked.
template <class Op>
void broadcasting_samples(Samples<Op>& s, const std::function<Tensor(const Shape&, uint64_t)>& left,
                          const std::function<Tensor(const Shape&, uint64_t)>& right) {
    s.add("same shape", {}, {left({3, 5}, 1), right({3, 5}, 2)});
    s.add("a row", {}, {left({4, 3}, 3), right({3}, 4)});
    s.add("a column", {}, {left({3, 1}, 5), right({3, 4}, 6)});
    s.add("both stretched", {}, {left({2, 1, 3}, 7), right({5, 1}, 8)});
    s.add("a scalar left", {}, {left({}, 9), right({7}, 10)});
    s.add("a scalar right", {}, {left({17}, 11), right({}, 12)});
    s.add("empty", {}, {left({0, 3}, 13), right({3}, 14)});
    s.add("one", {}, {left({1}, 15), right({1}, 16)});
    s.add("past two vectors", {}, {left({33}, 17), right({33}, 18)});
    s.add("a row just short of a vector", {}, {left({2, 15}, 19), right({15}, 20)});
    s.add("a column of as many", {}, {left({15, 1}, 21), right({15, 2}, 22)});
    s.fails("shapes that clash", {}, {f64({2, 3}), f64({2, 4})}, "shapes that broadcast");
    s.fails("types that differ", {}, {f64({2}), Spec{{2}, Dtype::f32, kCpu}}, "of one type");
    s.fails("integers", {}, {i64({2}), i64({2})}, "floating");
}

}  // namespace microtome
