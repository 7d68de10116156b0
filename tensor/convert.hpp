// One element in another type. Floating to floating rounds to nearest; to u8 and i64 truncates towards zero
// and saturates, NaN becoming 0. Host and device make the same.
#pragma once

#include "tensor/dtype.hpp"

#include <algorithm>
#include <limits>
#include <type_traits>

namespace microtome {

template <class To, class From>
constexpr To convert_one(From x) {
    if constexpr (std::is_same_v<From, bfloat16>) {
        return convert_one<To>(static_cast<float>(x));
    } else if constexpr (std::is_same_v<To, From>) {
        return x;
    } else if constexpr (std::is_same_v<From, Dual>) {
        return convert_one<To>(x.value);
    } else if constexpr (std::is_same_v<To, Dual>) {
        return Dual(static_cast<double>(x));
    } else if constexpr (std::is_same_v<To, bfloat16>) {
        return bfloat16(static_cast<float>(x));
    } else if constexpr (std::is_floating_point_v<To>) {
        return static_cast<To>(x);
    } else if constexpr (std::is_floating_point_v<From>) {
        // 256 and 2^63 are the first numbers too large, and floats both
        constexpr From limit = static_cast<From>(sizeof(To) == 1 ? 0x1p8 : 0x1p63);
        constexpr From lowest = static_cast<From>(std::numeric_limits<To>::min());
        if (x != x) return 0;
        if (x >= limit) return std::numeric_limits<To>::max();
        return x <= lowest ? std::numeric_limits<To>::min() : static_cast<To>(x);
    } else if constexpr (sizeof(To) == 1) {
        return static_cast<To>(std::clamp<From>(x, 0, 255));
    } else {
        return static_cast<To>(x);
    }
}

}  // namespace microtome
