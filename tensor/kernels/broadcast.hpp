// How a kernel walks a tensor that is broadcast to a larger shape.
#pragma once

#include "tensor/shape.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace microtome::kernels {

// An input seen at the output's shape, handed out as contiguous blocks of the output's row-major order: then
// one inner loop over contiguous arrays serves every pattern of broadcasting. A block is a pointer into the
// input where that is possible; a short input that repeats, such as one value per channel, is repeated once
// in a buffer; all else is copied block by block into the buffer, which stays in the fastest cache.
template <class T>
class BroadcastInput {
  public:
    static constexpr int64_t kBlock = 1024;
    using Buffer = std::array<T, 2 * kBlock>;  // one per thread and input

    // `from` must broadcast to `to`.
    BroadcastInput(const T* x, const Shape& from, const Shape& to) : x_(x) {
        // Runs of axes that are all there, or all repeated, count as one axis.
        int missing = to.rank() - from.rank();
        for (int axis = 0; axis < to.rank(); ++axis) {
            if (to[axis] == 1) continue;
            bool repeated = axis < missing || from[axis - missing] == 1;
            if (rank_ == 0 || repeated_[rank_ - 1] != repeated) {
                size_[rank_] = 1;
                repeated_[rank_++] = repeated;
            }
            size_[rank_ - 1] *= to[axis];
        }
        whole_ = rank_ == 0 || (rank_ == 1 && !repeated_[0]);
        bool tail_repeats = rank_ == 1 && repeated_[0];
        if (tail_repeats || (rank_ == 2 && repeated_[0])) period_ = tail_repeats ? 1 : size_[1];
        if (whole_ || period_ > kBlock) period_ = 0;
    }

    // To be called once per buffer, before block().
    void prepare(Buffer& buffer) const {
        if (period_ == 0) return;
        std::copy(x_, x_ + period_, buffer.begin());
        for (int64_t i = period_; i < kBlock + period_; ++i) buffer[i] = buffer[i - period_];
    }

    // Elements begin to begin + n of the output's order, n <= kBlock.
    const T* block(int64_t begin, int64_t n, Buffer& buffer) const {
        if (whole_) return x_ + begin;
        if (period_ > 0) return buffer.data() + begin % period_;
        return gather(begin, n, buffer);
    }

  private:
    const T* gather(int64_t begin, int64_t n, Buffer& buffer) const {
        std::array<int64_t, Shape::kMaxRank> index{}, stride{};
        int64_t offset = 0, step = 1;
        for (int axis = rank_ - 1; axis >= 0; --axis) {
            index[axis] = begin % size_[axis];
            begin /= size_[axis];
            stride[axis] = repeated_[axis] ? 0 : step;
            offset += stride[axis] * index[axis];
            if (!repeated_[axis]) step *= size_[axis];
        }
        int last = rank_ - 1;
        for (int64_t done = 0; done < n;) {
            int64_t run = std::min(n - done, size_[last] - index[last]);
            if (!repeated_[last] && run == n) return x_ + offset;
            if (repeated_[last])
                std::fill_n(buffer.begin() + done, run, x_[offset]);
            else
                std::copy_n(x_ + offset, run, buffer.begin() + done);
            done += run;
            // on to the next run
            offset -= stride[last] * index[last];
            index[last] = 0;
            for (int axis = last - 1; axis >= 0; --axis) {
                offset += stride[axis];
                if (++index[axis] < size_[axis]) break;
                offset -= stride[axis] * index[axis];
                index[axis] = 0;
            }
        }
        return buffer.data();
    }

    const T* x_;
    int rank_ = 0;
    std::array<int64_t, Shape::kMaxRank> size_{};
    std::array<bool, Shape::kMaxRank> repeated_{};
    bool whole_ = false;
    int64_t period_ = 0;  // > 0: the input repeats every so many elements
};

}  // namespace microtome::kernels
