// The sizes of an array's axes, slowest first. Arrays are row-major and contiguous, always: there are no
// strides.
#pragma once

#include "base/error.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <ostream>
#include <span>

namespace microtome {

class Shape {
  public:
    static constexpr int kMaxRank = 8;

    Shape() = default;  // rank 0: a scalar, one element
    Shape(std::initializer_list<int64_t> sizes) : Shape(std::span(sizes.begin(), sizes.size())) {}

    // Throws ShapeError for more than kMaxRank axes, a negative size, or more elements than fit in 2^47.
    explicit Shape(std::span<const int64_t> sizes) {
        if (sizes.size() > kMaxRank)
            throw ShapeError("shape", str("expected at most ", kMaxRank, " axes, got ", sizes.size()));
        rank_ = static_cast<int>(sizes.size());
        std::copy(sizes.begin(), sizes.end(), sizes_.begin());
        // An empty axis makes the array empty, but the others must be sane all the same.
        int64_t product = 1;
        for (int64_t size : sizes) {
            if (size < 0) throw ShapeError("shape", str("expected sizes of 0 or more, got ", *this));
            if (size > 0 && product > kMaxElements / size)
                throw ShapeError("shape", str("expected fewer than 2^47 elements, got ", *this));
            product *= std::max<int64_t>(size, 1);
        }
    }

    int rank() const { return rank_; }
    int64_t operator[](int axis) const { return sizes_[normalize(axis)]; }
    const int64_t* begin() const { return sizes_.data(); }
    const int64_t* end() const { return sizes_.data() + rank_; }

    int64_t elements() const {
        int64_t product = 1;
        for (int64_t size : *this) product *= size;
        return product;
    }

    // The same shape with one axis replaced, or removed.
    Shape with(int axis, int64_t size) const {
        Shape result = *this;
        result.sizes_[normalize(axis)] = size;
        return Shape(std::span(result.begin(), result.end()));
    }
    Shape without(int axis) const {
        const int gone = normalize(axis);
        Shape result;
        for (int i = 0; i < rank_; ++i)
            if (i != gone) result.sizes_[result.rank_++] = sizes_[i];
        return result;
    }

    // -1 is the last axis. Throws ShapeError when there is no such axis.
    int normalize(int axis) const {
        int positive = axis < 0 ? axis + rank_ : axis;
        if (positive < 0 || positive >= rank_)
            throw ShapeError("shape",
                             str("expected an axis of ", *this, ", which has ", rank_, ", got ", axis));
        return positive;
    }

    friend bool operator==(const Shape& a, const Shape& b) {
        return std::equal(a.begin(), a.end(), b.begin(), b.end());
    }
    friend std::ostream& operator<<(std::ostream& out, const Shape& shape) {
        out << '(';
        for (int i = 0; i < shape.rank_; ++i) out << (i ? "," : "") << shape.sizes_[i];
        return out << ')';
    }

  private:
    static constexpr int64_t kMaxElements = int64_t{1} << 47;
    std::array<int64_t, kMaxRank> sizes_{};
    int rank_ = 0;
};

}  // namespace microtome
