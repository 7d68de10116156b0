#include "tensor/kernels/norms.hpp"

#include "tensor/kernels/parallel.hpp"
#include "tensor/kernels/reduce.hpp"
#include "tensor/reference/reduce.hpp"

#include <cmath>
#include <limits>

namespace microtome::kernels {
namespace {

// Below, squares may have lost digits to subnormal numbers; above, they may have become infinite.
template <class T>
bool in_comfortable_range(T sum_of_squares) {
    constexpr T lowest =
        std::numeric_limits<T>::min() / std::numeric_limits<T>::epsilon() / std::numeric_limits<T>::epsilon();
    return sum_of_squares >= lowest && sum_of_squares <= std::numeric_limits<T>::max();
}

template <class T>
T scaled_norm(const T* x, int64_t n) {
    T largest = reference::lane_reduce<T>(reference::Max{}, n, [=](int64_t j) { return math::abs(x[j]); });
    if (!(largest > T(0)) || !(largest <= std::numeric_limits<T>::max()))
        return n == 0 ? T(0) : largest;  // 0, infinity, NaN
    int exponent = std::ilogb(largest);
    T root = std::sqrt(reference::lane_reduce<T>(reference::SumOfSquares{}, n,
                                                 [=](int64_t j) { return std::scalbn(x[j], -exponent); }));
    return std::scalbn(root, exponent);
}

}  // namespace

void norm_l2(const Tensor& x, Tensor& y, const KernelContext& context) {
    const Shape& shape = x.shape();
    reduce(Reduction::sum_of_squares, x, all_axes(shape) & ~AxisMask{1}, y, context);
    const int64_t n = shape[0], length = n ? shape.elements() / n : 0;
    visit_f32_f64("norm_l2", x.dtype(), [&]<class T>() {
        const T* from = x.data<T>().data();
        T* to = y.mutable_data<T>().data();
        parallel_rows(n, length, context, [&](int64_t i) {
            to[i] = in_comfortable_range(to[i]) ? std::sqrt(to[i]) : scaled_norm(from + i * length, length);
        });
    });
}

}  // namespace microtome::kernels
