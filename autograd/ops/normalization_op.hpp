// What the normalising ops share.
#pragma once

#include "autograd/composed.hpp"
#include "autograd/ops/normalization.hpp"
#include "autograd/ops/row_op.hpp"

#include <numeric>

namespace microtome {

struct NormalizationAttributes {
    double eps = 0;
    void each(auto&& field) const { field("eps", eps); }
};

// x (..., C) and, for each of the others, (C), all of one floating type.
inline void require_channels(std::string_view op, const Spec& x, std::span<const Spec> vectors, double eps) {
    require_floating(op, x);
    if (x.shape.rank() < 1) throw ShapeError(op, str("expected x (..., C), got ", x));
    if (!(eps > 0)) throw OptionsError(op, str("expected eps > 0, got ", eps));
    for (const Spec& vector : vectors) {
        if (!(vector.shape == Shape{x.shape[-1]}))
            throw ShapeError(op, str("expected one number for each channel (", x.shape[-1], ") of x ", x,
                                     ", got ", vector));
        if (vector.dtype != x.dtype)
            throw DtypeError(op, str("expected inputs of one type, got ", x, " and ", vector),
                             "cast() one of them");
    }
}

// How many numbers each channel has.
inline int64_t rows_of(const Shape& x) {
    int64_t rows = 1;
    for (int axis = 0; axis < x.rank() - 1; ++axis) rows *= x[axis];
    return rows;
}

inline void require_rows_to_average(std::string_view op, const Spec& x) {
    if (x.shape.rank() < 2 || rows_of(x.shape) == 0)
        throw ShapeError(op, str("expected x (..., C) with at least one row to average over, got ", x));
}

inline std::vector<int> all_axes_but_last(const Shape& x) {
    std::vector<int> axes(static_cast<std::size_t>(x.rank() - 1));
    std::iota(axes.begin(), axes.end(), 0);
    return axes;
}

}  // namespace microtome
