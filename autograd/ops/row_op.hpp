// What ops over the last axis share.
#pragma once

#include "autograd/describe.hpp"
#include "autograd/ops/arithmetic.hpp"
#include "autograd/ops/elementwise.hpp"
#include "autograd/ops/reductions.hpp"
#include "autograd/ops/require.hpp"
#include "autograd/ops/shaping.hpp"

namespace microtome {

inline void require_rows(std::string_view op, const Spec& x) {
    require_floating(op, x);
    if (x.shape.rank() == 0 || x.shape[-1] == 0)
        throw ShapeError(op, str("expected a last axis of at least one element, got ", x));
}

// One number for each row of x: what a kernel notes beside its result.
inline Tensor row_statistic(const Spec& x) {
    return Tensor({x.shape.without(-1), x.dtype, x.device});
}

// The shapes on which every op over rows is checked, up to sample(name, shape).
template <class Sample>
void row_shapes(const Sample& sample) {
    sample("rows", Shape{3, 5});
    sample("one row", Shape{4});
    sample("rows of one", Shape{3, 1});
    sample("more than 16 lanes", Shape{1, 37});
    sample("more axes", Shape{2, 1, 2, 3});
    sample("no rows", Shape{0, 3});
    sample("one short of a vector", Shape{2, 15});
    sample("a vector", Shape{1, 16});
    sample("one past a vector", Shape{1, 17});
    sample("one past two vectors", Shape{1, 33});
}

template <class Op>
void row_errors(Samples<Op>& s, typename Op::Attributes attributes, const Specs& rest = {}) {
    auto with = [&](const Spec& first) {
        Specs specs{first};
        specs.insert(specs.end(), rest.begin(), rest.end());
        return specs;
    };
    s.fails("rows of nothing", attributes, with(f64({3, 0})), "at least one element");
    s.fails("a scalar", attributes, with(f64({})), "at least one element");
    s.fails("integers", attributes, with(i64({2, 2})), "floating");
}

}  // namespace microtome
