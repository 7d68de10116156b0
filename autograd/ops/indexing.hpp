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

}  // namespace microtome
