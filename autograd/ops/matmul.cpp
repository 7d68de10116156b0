#include "tensor/kernels/matmul.hpp"

#include "autograd/describe.hpp"
#include "autograd/ops/linear.hpp"
#include "autograd/ops/matmul_op.hpp"
#include "autograd/ops/shaping.hpp"

namespace microtome {

struct op::Matmul {
    static constexpr std::string_view name = "matmul";
    static constexpr std::string_view formula = "y = a b";
    static constexpr std::string_view kinks = "";
    static constexpr SecondOrder second_order = SecondOrder::closed;
    using Attributes = MatmulAttributes;

    static Specs shape_rule(const Attributes& at, const Specs& in) {
        const Shape &a = in[0].shape, &b = in[1].shape;
        if (!is_floating(in[0].dtype) || in[0].dtype != in[1].dtype)
            throw DtypeError(name,
                             str("expected two floating tensors of one type, got ", in[0], " and ", in[1]));
        bool fits = a.rank() >= 2 && a.rank() == b.rank();
        for (int i = 0; fits && i < a.rank() - 2; ++i) fits = a[i] == b[i];
        if (fits) fits = a[at.transpose_a ? -2 : -1] == b[at.transpose_b ? -1 : -2];
        if (!fits)
            throw ShapeError(
                name, str("expected a (..., M, K)", at.transpose_a ? " transposed" : "", " and b (..., K, N)",
                          at.transpose_b ? " transposed" : "", ", got ", in[0], " and ", in[1]));
        return {{a.with(-2, a[at.transpose_a ? -1 : -2]).with(-1, b[at.transpose_b ? -2 : -1]), in[0].dtype,
                 in[0].device}};
    }
    static MatmulShape geometry(const Attributes& at, const Shape& a, const Shape& b) {
        int64_t batch = 1;
        for (int i = 0; i < a.rank() - 2; ++i) batch *= a[i];
        return MatmulShape::dense(a[at.transpose_a ? -1 : -2], b[at.transpose_b ? -2 : -1],
                                  a[at.transpose_a ? -2 : -1], at.transpose_a, at.transpose_b, batch);
    }
    static std::size_t workspace(const Attributes& at, const Specs& in) {
        return visit_floating("matmul", in[0].dtype, [&]<class T>() {
            return kernels::matmul_workspace<T>(geometry(at, in[0].shape, in[1].shape));
        });
    }
    static void forward(const Attributes& at, const Tensors& in, Tensors& out, KernelContext& context) {
        kernels::matmul(geometry(at, in[0].shape(), in[1].shape()), in[0], in[1], out[0], context);
    }
    static Saves saves(const Attributes&, Needs needs) {
        return Saves().input_if(needs[0], 1).input_if(needs[1], 0);
    }

    //     y = a b:    da = g b^T,   db = a^T g      and with an operand transposed, its gradient is too.
    static Tensors vjp(const Attributes& at, const Recorded& record, const Tensors& g) {
        auto transposed = [](bool yes) { return yes ? Transpose::yes : Transpose::no; };
        Tensors d(2);
        if (record.needs(0)) {
            const Tensor& b = record.input(1);
            d[0] = at.transpose_a ? matmul(b, g[0], transposed(at.transpose_b), Transpose::yes)
                                  : matmul(g[0], b, Transpose::no, transposed(!at.transpose_b));
        }
        if (record.needs(1)) {
            const Tensor& a = record.input(0);
            d[1] = at.transpose_b ? matmul(g[0], a, Transpose::yes, transposed(at.transpose_a))
                                  : matmul(a, g[0], transposed(!at.transpose_a), Transpose::no);
        }
        return d;
    }
    static void samples(Samples<Matmul>& s) {
        s.add("2x3 by 3x4", {}, {uniform({2, 3}), uniform({3, 4}, -1, 1, 2)});
        s.add("a transposed", {true, false}, {uniform({3, 2}), uniform({3, 4}, -1, 1, 2)});
        s.add("b transposed", {false, true}, {uniform({2, 3}), uniform({4, 3}, -1, 1, 2)});
        s.add("both transposed", {true, true}, {uniform({3, 2}), uniform({4, 3}, -1, 1, 2)});
        s.add("batched", {}, {uniform({2, 1, 2, 3}), uniform({2, 1, 3, 2}, -1, 1, 2)});
        s.add("inner size 0", {}, {uniform({2, 0}), uniform({0, 3})});
        s.add("no rows", {}, {uniform({0, 2}), uniform({2, 3})});
        s.add("a prime past a tile", {}, {uniform({1, 17}), uniform({17, 1}, -1, 1, 2)});
        s.add("past tiles and vectors", {}, {uniform({17, 31}), uniform({31, 33}, -1, 1, 2)});
        s.extreme("tiny and huge", {},
                  {reshape(far_apart(), Shape{2, 4}), reshape(far_apart(), Shape{4, 2})});
        s.add_same("x x", {}, uniform({3, 3}), 2);
        s.add_same("x x^T", {false, true}, uniform({2, 3}), 2);
        s.fails("inner sizes differ", {}, {f64({2, 3}), f64({4, 2})},
                "expected a (..., M, K) and b (..., K, N)");
        s.fails("vectors", {}, {f64({3}), f64({3})}, "expected a (..., M, K)");
        s.fails("integers", {}, {i64({2, 2}), i64({2, 2})}, "floating");
    }
};

template <>
const OpInfo& op_info<op::Matmul>() {
    return describe<op::Matmul>();
}

Tensor matmul(const Tensor& a, const Tensor& b, Transpose transpose_a, Transpose transpose_b) {
    const bool ta = transpose_a == Transpose::yes, tb = transpose_b == Transpose::yes;
    if (a.rank() > 2 && b.rank() == 2) {
        if (ta)
            return matmul(a, broadcast_to(b, a.shape().with(-2, b.size(0)).with(-1, b.size(1))), transpose_a,
                          transpose_b);
        // One matrix for all: its rows are simply more rows.
        const int64_t k = a.size(-1), n = b.size(tb ? 0 : 1);
        Tensor rows = reshape(a, Shape{a.elements() / std::max<int64_t>(k, 1), k});
        return reshape(matmul(rows, b, transpose_a, transpose_b), a.shape().with(-1, n));
    }
    if (a.rank() == 2 && b.rank() > 2)
        return matmul(broadcast_to(a, b.shape().with(-2, a.size(0)).with(-1, a.size(1))), b, transpose_a,
                      transpose_b);
    return apply<op::Matmul>({ta, tb}, {a, b})[0];
}

}  // namespace microtome
