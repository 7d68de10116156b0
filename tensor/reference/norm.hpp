// When a sum of squares can be trusted: Euclidean norms square what may be tiny or huge.
#pragma once

#include "tensor/dual.hpp"

#include <limits>

namespace microtome::reference {

// The type of a number's size.
template <class T>
using SizeLimits = std::numeric_limits<decltype(math::value_of(T()))>;

template <class T>
inline constexpr auto kLargest = SizeLimits<T>::max();

// Below, squares may have lost digits to subnormal numbers; above, they may have become infinite.
template <class T>
constexpr bool norm_in_comfortable_range(T sum_of_squares) {
    constexpr auto lowest = SizeLimits<T>::min() / SizeLimits<T>::epsilon() / SizeLimits<T>::epsilon();
    return sum_of_squares >= lowest && sum_of_squares <= SizeLimits<T>::max();
}

}  // namespace microtome::reference
