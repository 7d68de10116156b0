#include "tensor/kernels/norms.hpp"

#include "tensor/cuda/backend.hpp"
#include "tensor/kernels/parallel.hpp"
#include "tensor/kernels/reduce.hpp"
#include "tensor/reference/norm.hpp"
#include "tensor/reference/reduce.hpp"

#include <cmath>

namespace microtome::kernels {
namespace {

template <class T>
T scaled(T x, int exponent) {
    return std::scalbn(x, exponent);
}
template <>
Dual scaled(Dual x, int exponent) {
    return {std::scalbn(x.value, exponent), std::scalbn(x.tangent, exponent)};
}

template <class T>
T scaled_norm(const T* x, int64_t n) {
    T largest = reference::lane_reduce<T>(reference::Max{}, n, [=](int64_t j) { return math::abs(x[j]); });
    if (!(largest > T(0)) || !(largest <= reference::kLargest<T>))
        return n == 0 ? T(0) : largest;  // 0, infinity, NaN
    int exponent = std::ilogb(math::value_of(largest));
    T root = math::sqrt(reference::lane_reduce<T>(reference::SumOfSquares{}, n,
                                                  [=](int64_t j) { return scaled(x[j], -exponent); }));
    return scaled(root, exponent);
}

}  // namespace

void norm_l2(const Tensor& x, Tensor& y, const KernelContext& context) {
    const Shape& shape = x.shape();
    reduce(Reduction::sum_of_squares, x, all_axes(shape) & ~AxisMask{1}, y, context);
    const int64_t n = shape[0], length = n ? shape.elements() / n : 0;
    if (cuda::on_cuda(y))
        return cuda::run("norm_l2", y, {&x},
                         [&](auto gpu) { gpu->norm_l2(gpu.stream, gpu.in(x), gpu.out(y), n, length); });
    visit_floating("norm_l2", x.dtype(), [&]<class T>() {
        const T* from = x.data<T>().data();
        T* to = y.mutable_data<T>().data();
        parallel_rows(n, length, context, [&](int64_t i) {
            to[i] = reference::norm_in_comfortable_range(to[i]) ? math::sqrt(to[i])
                                                                : scaled_norm(from + i * length, length);
        });
    });
}

}  // namespace microtome::kernels
