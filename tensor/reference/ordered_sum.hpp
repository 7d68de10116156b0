// The order in which every product-sum of the project is added up.
//
// Floating-point addition is not associative: the order of a long sum decides its last bits. If it were left
// to the number of threads or the width of a vector register, no two machines would agree. So the order is
// part of the definition, and depends on the length of the sum alone:
//
//     products 0 .. 255 are chained by fused multiply-adds into a block that starts from 0, likewise
//     256 .. 511, and so on; the blocks are added, in order, to the sum of their slice of 16 blocks (4096
//     products); the slices are added, in order, to the result.
//
// A block is what a tile of the fast kernel keeps in registers; a slice is what threads may take apart. Sums
// of sums are also more exact than one long chain (Higham 1993, "The accuracy of floating point summation").
#pragma once

#include "tensor/math.hpp"

#include <cstdint>

namespace microtome {

inline constexpr int64_t kSumBlock = 256;
inline constexpr int64_t kSumSlice = 16 * kSumBlock;

namespace reference {

template <class T>
class OrderedSum {
  public:
    OrderedSum() = default;
    MICROTOME_HD explicit OrderedSum(T start) : slice_(start), slice_open_(true) {}

    MICROTOME_HD void add(const T& a, const T& b) {
        using math::fma;
        block_ = fma(a, b, block_);
        ++count_;
        if (count_ % kSumBlock == 0) close_block();
        if (count_ % kSumSlice == 0) close_slice();
    }

    MICROTOME_HD T result() {
        if (count_ % kSumBlock != 0) close_block();
        if (slice_open_) close_slice();
        return total_;
    }

  private:
    // The first term of a sum is taken as it is rather than added to 0, which would lose the sign of -0.
    MICROTOME_HD void close_block() {
        slice_ = slice_open_ ? slice_ + block_ : block_;
        slice_open_ = true;
        block_ = T(0);
    }
    MICROTOME_HD void close_slice() {
        total_ = total_open_ ? total_ + slice_ : slice_;
        total_open_ = true;
        slice_open_ = false;
    }

    T block_ = T(0), slice_ = T(0), total_ = T(0);
    bool slice_open_ = false, total_open_ = false;
    int64_t count_ = 0;
};

}  // namespace reference
}  // namespace microtome
