// Softmax and its relatives, and layer normalisation: sixteen threads a row, each with every sixteenth
// element, through the formulas of tensor/reference/rows.hpp.
//
// Least work: x is read once and y written once, 8 bytes an element in f32. These kernels go over a row two
// or three times; rows of up to some thousand elements are in the cache from the second time on. Not measured
// on a GPU yet.
#include "tensor/batch_norm.hpp"
#include "tensor/cuda/lane_reduce.hpp"
#include "tensor/reference/norm.hpp"
#include "tensor/reference/rows.hpp"

#include <cmath>

namespace microtome::cuda::MICROTOME_CUDA_NAME {
namespace {

using reference::Max;
using reference::Product;
using reference::Sum;
using reference::SumOfProducts;
using reference::SumOfSquares;

template <class T>
MICROTOME_KERNEL void softmax_kernel(const T* x_rows, T* y_rows, int64_t rows, int64_t n) {
    for (int64_t row = first_group(); row < rows; row += all_groups()) {
        const T* x = x_rows + row * n;
        T* y = y_rows + row * n;
        const T maximum = lanes_reduce<T>(Max{}, n, [&](int64_t j) { return x[j]; });
        // From here on each thread reads only what it wrote itself.
        for (int64_t j = lane(); j < n; j += kLanes) y[j] = math::exp(x[j] - maximum);
        const T factor = T(1) / lanes_reduce<T>(Sum{}, n, [&](int64_t j) { return y[j]; });
        for (int64_t j = lane(); j < n; j += kLanes) y[j] *= factor;
    }
}

template <class T>
MICROTOME_DEVICE T row_shift(const T* x, int64_t n) {
    return reference::exponent_shift(lanes_reduce<T>(Max{}, n, [&](int64_t j) { return x[j]; }));
}
template <class T>
MICROTOME_DEVICE T row_log_sum(const T* x, int64_t n, T shift) {
    return math::log(lanes_reduce<T>(Sum{}, n, [&](int64_t j) { return math::exp(x[j] - shift); }));
}

template <class T>
MICROTOME_KERNEL void log_softmax_kernel(const T* x_rows, T* y_rows, int64_t rows, int64_t n) {
    for (int64_t row = first_group(); row < rows; row += all_groups()) {
        const T* x = x_rows + row * n;
        T* y = y_rows + row * n;
        const T shift = row_shift(x, n), log_sum = row_log_sum(x, n, shift);
        for (int64_t j = lane(); j < n; j += kLanes) y[j] = (x[j] - shift) - log_sum;
    }
}

template <class T>
MICROTOME_KERNEL void logsumexp_kernel(const T* x_rows, T* y, int64_t rows, int64_t n) {
    for (int64_t row = first_group(); row < rows; row += all_groups()) {
        const T* x = x_rows + row * n;
        const T shift = row_shift(x, n), log_sum = row_log_sum(x, n, shift);
        if (lane() == 0) y[row] = shift + log_sum;
    }
}

template <class T>
MICROTOME_KERNEL void softmax_gradient_kernel(const T* g_rows, const T* y_rows, T* dx_rows, int64_t rows,
                                              int64_t n) {
    for (int64_t row = first_group(); row < rows; row += all_groups()) {
        const T *g = g_rows + row * n, *y = y_rows + row * n;
        T* dx = dx_rows + row * n;
        const T dot = lanes_reduce<T>(SumOfProducts{}, n, [&](int64_t j) { return Product<T>{g[j], y[j]}; });
        for (int64_t j = lane(); j < n; j += kLanes) dx[j] = y[j] * (g[j] - dot);
    }
}

template <class T>
MICROTOME_KERNEL void log_softmax_gradient_kernel(const T* g_rows, const T* y_rows, T* dx_rows, int64_t rows,
                                                  int64_t n) {
    for (int64_t row = first_group(); row < rows; row += all_groups()) {
        const T *g = g_rows + row * n, *y = y_rows + row * n;
        T* dx = dx_rows + row * n;
        const T sum = lanes_reduce<T>(Sum{}, n, [&](int64_t j) { return g[j]; });
        for (int64_t j = lane(); j < n; j += kLanes) dx[j] = math::fma(-sum, math::exp(y[j]), g[j]);
    }
}

template <class T>
MICROTOME_KERNEL void layer_norm_kernel(const T* x_rows, const T* scale, const T* shift, T epsilon, T* y_rows,
                                        T* mean, T* rstd, int64_t rows, int64_t n) {
    for (int64_t row = first_group(); row < rows; row += all_groups()) {
        const T* x = x_rows + row * n;
        T* y = y_rows + row * n;
        const T m = lanes_reduce<T>(Sum{}, n, [&](int64_t j) { return x[j]; }) / static_cast<T>(n);
        const T squares = lanes_reduce<T>(SumOfSquares{}, n, [&](int64_t j) { return x[j] - m; });
        const T r = T(1) / math::sqrt(squares / static_cast<T>(n) + epsilon);
        for (int64_t j = lane(); j < n; j += kLanes) {
            const T normal = (x[j] - m) * r;
            T scaled = scale == nullptr ? normal : normal * scale[j];
            if (shift != nullptr)
                scaled = scale == nullptr ? normal + shift[j] : math::fma(normal, scale[j], shift[j]);
            y[j] = scaled;
        }
        if (lane() == 0) {
            mean[row] = m;
            rstd[row] = r;
        }
    }
}

template <class T>
MICROTOME_KERNEL void layer_norm_gradient_kernel(const T* g_rows, const T* x_rows, const T* mean,
                                                 const T* rstd, const T* scale, T* dx_rows, int64_t rows,
                                                 int64_t n) {
    for (int64_t row = first_group(); row < rows; row += all_groups()) {
        const T *g = g_rows + row * n, *x = x_rows + row * n;
        T* dx = dx_rows + row * n;
        const T m = mean[row], r = rstd[row];
        auto u = [=](int64_t j) { return scale == nullptr ? g[j] : g[j] * scale[j]; };
        auto z = [=](int64_t j) { return (x[j] - m) * r; };
        const T mean_u = lanes_reduce<T>(Sum{}, n, u) / static_cast<T>(n);
        const T mean_uz = lanes_reduce<T>(SumOfProducts{}, n,
                                          [=](int64_t j) {
                                              return Product<T>{u(j), z(j)};
                                          }) /
                          static_cast<T>(n);
        for (int64_t j = lane(); j < n; j += kLanes) dx[j] = r * math::fma(-z(j), mean_uz, u(j) - mean_u);
    }
}

// Summed again after scaling by a power of two, which rounds nothing, where squares left the range of T.
template <class T>
MICROTOME_KERNEL void norm_l2_kernel(const T* x_rows, T* y, int64_t rows, int64_t n) {
    for (int64_t row = first_group(); row < rows; row += all_groups()) {
        const T* x = x_rows + row * n;
        T root = math::sqrt(y[row]);
        if (!reference::norm_in_comfortable_range(y[row])) {
            const T largest = lanes_reduce<T>(Max{}, n, [&](int64_t j) { return math::abs(x[j]); });
            root = n == 0 ? T(0) : largest;  // 0, infinity, NaN
            if (largest > T(0) && largest <= reference::kLargest<T>) {
                const int exponent = std::ilogb(largest);
                const T squares = lanes_reduce<T>(SumOfSquares{}, n,
                                                  [&](int64_t j) { return std::scalbn(x[j], -exponent); });
                root = std::scalbn(math::sqrt(squares), exponent);
            }
        }
        if (lane() == 0) y[row] = root;
    }
}

template <class T>
MICROTOME_KERNEL void batch_norm_scale_kernel(const T* gamma, const T* beta, const T* mean, const T* variance,
                                              T eps, T* scale, T* shift, int64_t channels) {
    for (int64_t i = first_element(); i < channels; i += all_threads()) {
        const BatchNormScale<T> both =
            microtome::batch_norm_scale(gamma[i], beta[i], mean[i], variance[i], eps);
        scale[i] = both.scale;
        shift[i] = both.shift;
    }
}
template <class T>
MICROTOME_KERNEL void batch_norm_gradient_kernel(const T* gamma, const T* variance, T eps, const T* dbeta,
                                                 T count, T* dgamma, T* a, T* b, T* c, int64_t channels) {
    for (int64_t i = first_element(); i < channels; i += all_threads()) {
        const BatchNormGradient<T> all =
            microtome::batch_norm_gradient(gamma[i], variance[i], eps, dgamma[i], dbeta[i], count);
        dgamma[i] = all.dgamma;
        a[i] = all.a;
        b[i] = all.b;
        c[i] = all.c;
    }
}

template <class T>
void norm_l2(Stream stream, const T* x, T* y, int64_t rows, int64_t n) {
    launch(stream, lanes_for(rows), norm_l2_kernel<T>, x, y, rows, n);
}
template <class T>
void batch_norm_scale(Stream stream, const T* gamma, const T* beta, const T* mean, const T* variance, T eps,
                      T* scale, T* shift, int64_t channels) {
    launch(stream, flat(channels), batch_norm_scale_kernel<T>, gamma, beta, mean, variance, eps, scale, shift,
           channels);
}
template <class T>
void batch_norm_gradient(Stream stream, const T* gamma, const T* variance, T eps, const T* dbeta, T count,
                         T* dgamma, T* a, T* b, T* c, int64_t channels) {
    launch(stream, flat(channels), batch_norm_gradient_kernel<T>, gamma, variance, eps, dbeta, count, dgamma,
           a, b, c, channels);
}
template <class T>
void softmax(Stream stream, const T* x, T* y, int64_t rows, int64_t n) {
    launch(stream, lanes_for(rows), softmax_kernel<T>, x, y, rows, n);
}
template <class T>
void log_softmax(Stream stream, const T* x, T* y, int64_t rows, int64_t n) {
    launch(stream, lanes_for(rows), log_softmax_kernel<T>, x, y, rows, n);
}
template <class T>
void logsumexp(Stream stream, const T* x, T* y, int64_t rows, int64_t n) {
    launch(stream, lanes_for(rows), logsumexp_kernel<T>, x, y, rows, n);
}
template <class T>
void softmax_gradient(Stream stream, const T* g, const T* y, T* dx, int64_t rows, int64_t n) {
    launch(stream, lanes_for(rows), softmax_gradient_kernel<T>, g, y, dx, rows, n);
}
template <class T>
void log_softmax_gradient(Stream stream, const T* g, const T* y, T* dx, int64_t rows, int64_t n) {
    launch(stream, lanes_for(rows), log_softmax_gradient_kernel<T>, g, y, dx, rows, n);
}
template <class T>
void layer_norm(Stream stream, const T* x, const T* scale, const T* shift, T epsilon, T* y, T* mean, T* rstd,
                int64_t rows, int64_t n) {
    launch(stream, lanes_for(rows), layer_norm_kernel<T>, x, scale, shift, epsilon, y, mean, rstd, rows, n);
}
template <class T>
void layer_norm_gradient(Stream stream, const T* g, const T* x, const T* mean, const T* rstd, const T* scale,
                         T* dx, int64_t rows, int64_t n) {
    launch(stream, lanes_for(rows), layer_norm_gradient_kernel<T>, g, x, mean, rstd, scale, dx, rows, n);
}

template <class T>
void add_to(Kernels<T>& kernels) {
    kernels.softmax = softmax<T>;
    kernels.log_softmax = log_softmax<T>;
    kernels.logsumexp = logsumexp<T>;
    kernels.softmax_gradient = softmax_gradient<T>;
    kernels.log_softmax_gradient = log_softmax_gradient<T>;
    kernels.layer_norm = layer_norm<T>;
    kernels.layer_norm_gradient = layer_norm_gradient<T>;
    kernels.norm_l2 = norm_l2<T>;
    kernels.batch_norm_scale = batch_norm_scale<T>;
    kernels.batch_norm_gradient = batch_norm_gradient<T>;
}

}  // namespace

void add_rows(KernelTable& table) {
    add_to(table.f32);
    add_to(table.f64);
}

}  // namespace microtome::cuda::MICROTOME_CUDA_NAME
