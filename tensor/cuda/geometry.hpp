// Index arithmetic of the CUDA kernels: where element i lies. Host and device compute the same, so that tests
// without a GPU see every edge of it. Nothing here knows of tensors; the builders in geometry.cpp do.
#pragma once

#include "tensor/conv_shape.hpp"
#include "tensor/dual_math.hpp"

#include <cstdint>

namespace microtome::cuda {

inline constexpr int kMaxRank = Shape::kMaxRank;

// Division by a number that is known before a kernel starts. GPUs have no instruction for it: below 2^31 it
// is a multiplication and a shift (Granlund & Montgomery 1994, "Division by invariant integers using
// multiplication", figure 4.1), beyond it the 64-bit routine.
struct Divisor {
    int64_t value = 1;
    uint32_t magic = 1;
    int32_t shift = 0;

    Divisor() = default;
    explicit Divisor(int64_t d) : value(d) {
        if (d < 1 || d >= int64_t{1} << 31) return;
        while (int64_t{1} << shift < d) ++shift;
        const uint64_t power = uint64_t{1} << shift;
        magic =
            static_cast<uint32_t>(((power - static_cast<uint64_t>(d)) << 32) / static_cast<uint64_t>(d) + 1);
    }
    // floor(n / value) for n >= 0.
    MICROTOME_HD int64_t quotient(int64_t n) const {
        if ((n | value) >> 31 != 0) return n / value;
        const uint32_t small = static_cast<uint32_t>(n);
        const uint32_t high = static_cast<uint32_t>(uint64_t{small} * magic >> 32);
        return (high + small) >> shift;
    }
};

struct Division {
    int64_t quotient, remainder;
};
MICROTOME_HD Division divide(int64_t n, const Divisor& by) {
    const int64_t quotient = by.quotient(n);
    return {quotient, n - quotient * by.value};
}

template <int count>
struct Offsets {
    int64_t of[count];
};

// A box of elements, counted in row-major order, and where each lies in `count` arrays: element
// (i_0, i_1, ...) at the sum of i_axis stride[array][axis]. Strides may be 0 (repeated) or negative
// (mirrored).
template <int count>
struct Strided {
    int64_t elements = 1;
    int32_t rank = 1;
    Divisor size[kMaxRank];
    int64_t stride[count][kMaxRank] = {};

    MICROTOME_HD Offsets<count> at(int64_t i) const {
        Offsets<count> offsets{};
        for (int axis = rank - 1; axis > 0; --axis) {
            const Division digit = divide(i, size[axis]);
            for (int k = 0; k < count; ++k) offsets.of[k] += digit.remainder * stride[k][axis];
            i = digit.quotient;
        }
        for (int k = 0; k < count; ++k) offsets.of[k] += i * stride[k][0];
        return offsets;
    }
};

// Which elements go into which result of a reduction: element j of result r lies at
// kept.at(r) + reduced.at(j).
struct ReduceShape {
    Strided<1> kept, reduced;

    constexpr int64_t results() const { return kept.elements; }
    constexpr int64_t length() const { return reduced.elements; }
    constexpr bool contiguous() const { return reduced.stride[0][reduced.rank - 1] == 1; }
};

// The arrays' elements seen as (outer, length, inner) around one axis.
struct AxisShape {
    int64_t outer = 1, length = 1, inner = 1;
};

// The pixels of one axis of an image whose gradients are sums of the same taps: those that leave the
// remainder `first` by the stride. Pixel first + stride r meets, in the t-th of `taps` taps, position
// position + r + t position_step of the output, by tap tap - t tap_step of the filter: taps fall, positions
// rise (tensor/reference/conv2d.hpp).
struct ConvPhase {
    int64_t first = 0, stride = 1;
    int64_t pixels = 0, taps = 0;
    int64_t tap = 0, tap_step = 1;
    int64_t position = 0, position_step = 0;
};
ConvPhase conv_phase(int64_t pixels, int64_t taps, int64_t stride, int64_t dilation, int64_t pad,
                     int64_t first);

// Bilinear sampling of images (N, h, w, ...) at `points` points, per_image of them in each.
struct WarpShape {
    int64_t h = 0, w = 0, points = 0;
    Divisor per_image;

    // The pixel at or before a coordinate; far outside, where no corner is inside, a number that fits an
    // integer.
    template <class T>
    MICROTOME_HD T cell(T place, int64_t size) const {
        return place >= T(-1) && place < static_cast<T>(static_cast<double>(size)) ? math::floor(place)
                                                                                   : T(-2);
    }
    // The pixel below and right of (left, top), as a row of x as (N * h * w, ...); -1 outside.
    template <class T>
    MICROTOME_HD int64_t pixel(int64_t point, T left, T top, int below, int right) const {
        const int64_t i = static_cast<int64_t>(math::value_of(top)) + below,
                      j = static_cast<int64_t>(math::value_of(left)) + right;
        return i >= 0 && i < h && j >= 0 && j < w ? (per_image.quotient(point) * h + i) * w + j : -1;
    }
};
// For the corners upper left, upper right, lower left, lower right.
template <class T>
struct WarpCorners {
    int64_t* index[4];  // 0 where outside
    T* inside[4];       // 1 or 0
};

// Rows of up to so many elements are sorted by counting; longer ones are padded to this power of two. 0: not
// padded.
int64_t sort_padding(int64_t n);

// How a product of m x n sums of k is shared out: in tiles where they would be half full at least; and its
// sums in slices of kSumSlice where there are too few results for all of a GPU.
bool fills_tiles(int64_t m, int64_t n);
int64_t slices_of(int64_t batch, int64_t m, int64_t n, int64_t k);
// Elements of scratch memory that the sums of slices want.
int64_t product_parts(int64_t batch, int64_t m, int64_t n, int64_t k);

// Neighbouring axes of `shape` that lie one behind the other in all arrays are made one, axes of size 1 none.
template <int count>
Strided<count> strided(const Shape& shape, const int64_t (&strides)[count][kMaxRank]);

// y's elements and what is repeated to give them. Throws ShapeError unless each shape broadcasts to y's.
Strided<1> broadcast(const Shape& y, const Shape& x);
Strided<2> broadcast(const Shape& y, const Shape& a, const Shape& b);
Strided<3> broadcast(const Shape& y, const Shape& a, const Shape& b, const Shape& c);

// The reduction of an array over the axes whose bit is set.
ReduceShape reduce_shape(const Shape& x, uint32_t axes);

AxisShape axis_shape(const Shape& shape, int axis);

}  // namespace microtome::cuda
