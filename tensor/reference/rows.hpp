// Softmax and its relatives, and layer normalisation: the textbook's loops, row by row. Sums are in the order
// of tensor/reference/reduce.hpp.
#pragma once

#include "tensor/reference/reduce.hpp"

namespace microtome::reference {

// What is subtracted before exponentials are taken: the row's maximum, or 0 where that is infinite.
template <class T>
MICROTOME_HD T exponent_shift(T maximum) {
    return math::abs(maximum) == math::infinity<T>() ? T(0) : maximum;
}

// y_j = e^(x_j - m) / sum_k e^(x_k - m), m = max_k x_k.
template <class T>
void softmax(const T* x, T* y, int64_t rows, int64_t n) {
    for (; rows > 0; --rows, x += n, y += n) {
        T maximum = lane_reduce<T>(Max{}, n, [=](int64_t j) { return x[j]; });
        for (int64_t j = 0; j < n; ++j) y[j] = math::exp(x[j] - maximum);
        T factor = T(1) / lane_sum(y, n);
        for (int64_t j = 0; j < n; ++j) y[j] *= factor;
    }
}

// log(sum_k e^(x_k)), from exponentials that cannot overflow.
template <class T>
T logsumexp_of_row(const T* x, int64_t n) {
    T shift = exponent_shift(lane_reduce<T>(Max{}, n, [=](int64_t j) { return x[j]; }));
    T sum = lane_reduce<T>(Sum{}, n, [=](int64_t j) { return math::exp(x[j] - shift); });
    return shift + math::log(sum);
}
template <class T>
void logsumexp(const T* x, T* y, int64_t rows, int64_t n) {
    for (int64_t i = 0; i < rows; ++i) y[i] = logsumexp_of_row(x + i * n, n);
}

// y_j = (x_j - m) - log(sum_k e^(x_k - m)).
template <class T>
void log_softmax(const T* x, T* y, int64_t rows, int64_t n) {
    for (; rows > 0; --rows, x += n, y += n) {
        T shift = exponent_shift(lane_reduce<T>(Max{}, n, [=](int64_t j) { return x[j]; }));
        T sum = lane_reduce<T>(Sum{}, n, [=](int64_t j) { return math::exp(x[j] - shift); });
        T log_sum = math::log(sum);
        for (int64_t j = 0; j < n; ++j) y[j] = (x[j] - shift) - log_sum;
    }
}

// dx_j = y_j (g_j - sum_k g_k y_k), where y = softmax(x).
template <class T>
void softmax_gradient(const T* g, const T* y, T* dx, int64_t rows, int64_t n) {
    for (; rows > 0; --rows, g += n, y += n, dx += n) {
        T dot = lane_reduce<T>(SumOfProducts{}, n, [=](int64_t j) { return Product<T>{g[j], y[j]}; });
        for (int64_t j = 0; j < n; ++j) dx[j] = y[j] * (g[j] - dot);
    }
}

// dx_j = g_j - e^(y_j) sum_k g_k, where y = log_softmax(x).
template <class T>
void log_softmax_gradient(const T* g, const T* y, T* dx, int64_t rows, int64_t n) {
    for (; rows > 0; --rows, g += n, y += n, dx += n) {
        T sum = lane_sum(g, n);
        for (int64_t j = 0; j < n; ++j) dx[j] = math::fma(-sum, math::exp(y[j]), g[j]);
    }
}

// y = (x - mean) rstd scale + shift with rstd = 1 / sqrt(variance + epsilon), the variance biased. Ba, Kiros
// & Hinton 2016, equation 4.
template <class T>
void layer_norm(const T* x, const T* scale, const T* shift, T epsilon, T* y, T* mean, T* rstd, int64_t rows,
                int64_t n) {
    for (int64_t i = 0; i < rows; ++i, x += n, y += n) {
        T m = lane_sum(x, n) / static_cast<T>(n);
        T squares = lane_reduce<T>(SumOfSquares{}, n, [=](int64_t j) { return x[j] - m; });
        T r = T(1) / math::sqrt(squares / static_cast<T>(n) + epsilon);
        for (int64_t j = 0; j < n; ++j) {
            T normal = (x[j] - m) * r;
            T scaled = scale == nullptr ? normal : normal * scale[j];
            if (shift != nullptr)
                scaled = scale == nullptr ? normal + shift[j] : math::fma(normal, scale[j], shift[j]);
            y[j] = scaled;
        }
        mean[i] = m;
        rstd[i] = r;
    }
}

// With u = g scale and z = (x - mean) rstd: dx = rstd (u - mean(u) - z mean(u z)).
template <class T>
void layer_norm_gradient(const T* g, const T* x, const T* mean, const T* rstd, const T* scale, T* dx,
                         int64_t rows, int64_t n) {
    for (int64_t i = 0; i < rows; ++i, g += n, x += n, dx += n) {
        T m = mean[i], r = rstd[i];
        auto u = [=](int64_t j) { return scale == nullptr ? g[j] : g[j] * scale[j]; };
        auto z = [=](int64_t j) { return (x[j] - m) * r; };
        T mean_u = lane_reduce<T>(Sum{}, n, u) / static_cast<T>(n);
        T mean_uz = lane_reduce<T>(SumOfProducts{}, n,
                                   [=](int64_t j) {
                                       return Product<T>{u(j), z(j)};
                                   }) /
                    static_cast<T>(n);
        for (int64_t j = 0; j < n; ++j) dx[j] = r * math::fma(-z(j), mean_uz, u(j) - mean_u);
    }
}

}  // namespace microtome::reference
