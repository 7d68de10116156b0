// What a product kernel does to each element of its result before it stores it.
#pragma once

#include <cstdint>

namespace microtome {

// In this order: the running sum starts from what the result holds (accumulate), then + bias, + residual,
// then relu. Fusing changes no bit of what the separate steps would give.
template <class T>
struct Epilogue {
    const T* bias = nullptr;      // one per column of the result (output channel)
    const T* residual = nullptr;  // laid out as the result, from which it may not be read back
    bool relu = false;
    bool accumulate = false;

    constexpr bool empty() const { return bias == nullptr && residual == nullptr && !relu; }

    // The finished element from the sum `y` of its products; `offset` is its place in the result.
    constexpr T finish(T y, int64_t column, int64_t offset) const {
        if (bias != nullptr) y = y + bias[column];
        if (residual != nullptr) y = y + residual[offset];
        if (relu && y <= T(0)) y = T(0);  // NaN stays NaN; a dual 0 stands still
        return y;
    }
};

}  // namespace microtome
