// Picking elements by index. Indices are i64; no gradient flows to them.
#pragma once

#include "tensor/tensor.hpp"

namespace microtome {

// y[i][j][k] = x[index[i][j][k]][j][k] for axis 0, and so on: y has index's shape, which agrees with x's on
// every other axis. ShapeError for an index outside the axis.
Tensor gather(const Tensor& x, const Tensor& index, int axis);

// The adjoint: an array like g but of `size` along the axis, where element index[i][j][k] receives
// g[i][j][k]. What meets in one place is added, in order.
Tensor scatter_add(const Tensor& g, const Tensor& index, int axis, int64_t size);

// Rows of the first axis, as a table of embeddings is read: index of shape I, x (R, ...) give (I, ...).
// ShapeError for an index outside [0, R).
Tensor take(const Tensor& x, const Tensor& index);
// The adjoint: (rows, ...) zeros, to which row index[i] of g is added, in order of i.
Tensor add_rows(const Tensor& g, const Tensor& index, int64_t rows);

// In order along an axis, and where each element stood (i64). Equals keep their order (a stable sort), NaN
// comes last in either direction. The gradient goes back to where an element stood.
struct Sorted {
    Tensor values, indices;
};
Sorted sort(const Tensor& x, int axis = -1, bool descending = false);
// The k largest along an axis, largest first: the first k of a descending sort.
Sorted top_k(const Tensor& x, int64_t k, int axis = -1);

}  // namespace microtome
