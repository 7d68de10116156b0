// Batch normalisation's two formulas for one channel (Ioffe & Szegedy 2015, algorithm 1, and its gradient,
// section 3), as sums and scales that the rest of the work is done with. Host and device.
#pragma once

#include "tensor/dual_math.hpp"

#include <cstdint>

namespace microtome {

// y = x scale + shift with scale = gamma / sqrt(variance + eps) and shift = beta - mean scale.
template <class T>
struct BatchNormScale {
    T scale, shift;
};
template <class T>
MICROTOME_HD BatchNormScale<T> batch_norm_scale(T gamma, T beta, T mean, T variance, T eps) {
    const T scale = gamma / math::sqrt(variance + eps);
    return {scale, math::fma(-mean, scale, beta)};
}

// dx = a g + b (x - mean) + c. `sum` is that of g (x - mean), dbeta that of g, over `count` rows.
template <class T>
struct BatchNormGradient {
    T a, b, c, dgamma;
};
template <class T>
MICROTOME_HD BatchNormGradient<T> batch_norm_gradient(T gamma, T variance, T eps, T sum, T dbeta, T count) {
    const T r = T(1) / math::sqrt(variance + eps);
    const T dgamma = sum * r;
    const T scale = gamma * r;
    return {scale, -scale * r * dgamma / count, -scale * dbeta / count, dgamma};
}

}  // namespace microtome
