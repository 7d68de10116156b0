#include "autograd/ops/arithmetic.hpp"
#include "autograd/ops/elementwise.hpp"
#include "autograd/ops/reductions.hpp"
#include "autograd/ops/shaping.hpp"

#include <numeric>

namespace microtome {
namespace {

// (N, ...) to (N, elements of a sample), also where there are no samples.
Tensor rows_of_samples(const char* where, const Tensor& x) {
    if (x.rank() == 0) throw ShapeError(where, str("expected samples (N, ...), got ", x.spec()));
    int64_t elements = 1;
    for (int axis = 1; axis < x.rank(); ++axis) elements *= x.size(axis);
    return reshape(x, Shape{x.size(0), elements});
}

}  // namespace

Tensor norm_l1(const Tensor& x) {
    return sum(abs(rows_of_samples("norm_l1", x)), {1});
}

Tensor norm_linf(const Tensor& x) {
    return max(abs(rows_of_samples("norm_linf", x)), 1);
}

Tensor variance(const Tensor& x, const std::vector<int>& axes, Axes after) {
    return mean(square(x - mean(x, axes, Axes::keep)), axes, after);
}

Tensor variance(const Tensor& x) {
    std::vector<int> axes(static_cast<std::size_t>(x.rank()));
    std::iota(axes.begin(), axes.end(), 0);
    return variance(x, axes);
}

}  // namespace microtome
