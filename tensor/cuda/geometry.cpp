#include "tensor/cuda/geometry.hpp"

#include "tensor/cuda/kernels.hpp"
#include "tensor/reference/ordered_sum.hpp"

#include <algorithm>
#include <bit>
#include <numeric>

namespace microtome::cuda {
namespace {

// Row-major strides of x seen at y's shape: 0 along axes that are repeated.
void repeated_strides(const Shape& y, const Shape& x, int64_t (&strides)[kMaxRank]) {
    const int missing = y.rank() - x.rank();
    bool fits = missing >= 0;
    int64_t step = 1;
    for (int axis = y.rank() - 1; fits && axis >= missing; --axis) {
        const int64_t size = x[axis - missing];
        fits = size == y[axis] || size == 1;
        strides[axis] = size == 1 ? 0 : step;
        step *= size;
    }
    if (!fits) throw ShapeError("broadcast", str("expected a shape that broadcasts to ", y, ", got ", x));
}

}  // namespace

template <int count>
Strided<count> strided(const Shape& shape, const int64_t (&strides)[count][kMaxRank]) {
    Strided<count> result;
    result.elements = shape.elements();
    int64_t sizes[kMaxRank] = {1};
    int rank = 0;
    for (int axis = 0; axis < shape.rank(); ++axis) {
        if (shape[axis] == 1) continue;
        bool joins = rank > 0;
        for (int k = 0; joins && k < count; ++k)
            joins = result.stride[k][rank - 1] == strides[k][axis] * shape[axis];
        rank += joins ? 0 : 1;
        sizes[rank - 1] = joins ? sizes[rank - 1] * shape[axis] : shape[axis];
        for (int k = 0; k < count; ++k) result.stride[k][rank - 1] = strides[k][axis];
    }
    result.rank = std::max(rank, 1);
    for (int axis = 0; axis < result.rank; ++axis) result.size[axis] = Divisor(sizes[axis]);
    return result;
}
template Strided<1> strided(const Shape&, const int64_t (&)[1][kMaxRank]);
template Strided<2> strided(const Shape&, const int64_t (&)[2][kMaxRank]);
template Strided<3> strided(const Shape&, const int64_t (&)[3][kMaxRank]);

Strided<1> broadcast(const Shape& y, const Shape& x) {
    int64_t strides[1][kMaxRank] = {};
    repeated_strides(y, x, strides[0]);
    return strided(y, strides);
}
Strided<2> broadcast(const Shape& y, const Shape& a, const Shape& b) {
    int64_t strides[2][kMaxRank] = {};
    repeated_strides(y, a, strides[0]);
    repeated_strides(y, b, strides[1]);
    return strided(y, strides);
}
Strided<3> broadcast(const Shape& y, const Shape& a, const Shape& b, const Shape& c) {
    int64_t strides[3][kMaxRank] = {};
    repeated_strides(y, a, strides[0]);
    repeated_strides(y, b, strides[1]);
    repeated_strides(y, c, strides[2]);
    return strided(y, strides);
}

ReduceShape reduce_shape(const Shape& x, uint32_t axes) {
    int64_t own[1][kMaxRank] = {};
    repeated_strides(x, x, own[0]);
    int64_t sizes[2][kMaxRank] = {}, strides[2][1][kMaxRank] = {};
    std::size_t rank[2] = {};
    for (int axis = 0; axis < x.rank(); ++axis) {
        const int side = axes >> axis & 1u;
        sizes[side][rank[side]] = x[axis];
        strides[side][0][rank[side]++] = own[0][axis];
    }
    return {strided(Shape(std::span<const int64_t>(sizes[0], rank[0])), strides[0]),
            strided(Shape(std::span<const int64_t>(sizes[1], rank[1])), strides[1])};
}

AxisShape axis_shape(const Shape& shape, int axis) {
    AxisShape result;
    result.length = shape[axis];
    for (int i = 0; i < axis; ++i) result.outer *= shape[i];
    for (int i = axis + 1; i < shape.rank(); ++i) result.inner *= shape[i];
    return result;
}

ConvPhase conv_phase(int64_t pixels, int64_t taps, int64_t stride, int64_t dilation, int64_t pad,
                     int64_t first) {
    ConvPhase phase{.first = first, .stride = stride};
    phase.pixels = (pixels - first + stride - 1) / stride;
    phase.tap_step = stride / std::gcd(stride, dilation);
    phase.position_step = phase.tap_step * dilation / stride;
    for (int64_t p = taps - 1; p >= 0; --p) {
        if ((first + pad - p * dilation) % stride != 0) continue;
        phase.tap = p;
        phase.taps = p / phase.tap_step + 1;
        phase.position = (first + pad - p * dilation) / stride;
        break;
    }
    return phase;
}

int64_t sort_padding(int64_t n) {
    constexpr int64_t kShort = 1024;
    return n <= kShort ? 0 : static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(n)));
}

namespace {

// Results that keep a GPU busy: a thread has sixteen in a tile, and one otherwise.
constexpr int64_t kEnoughInTiles = int64_t{1} << 20, kEnoughSingle = int64_t{1} << 16;

}  // namespace

bool fills_tiles(int64_t m, int64_t n) {
    return std::min(m, n) >= 16 && m * n >= 1024;
}

int64_t slices_of(int64_t batch, int64_t m, int64_t n, int64_t k) {
    const int64_t enough = fills_tiles(m, n) ? kEnoughInTiles : kEnoughSingle;
    return k > kSumSlice && batch * m * n < enough ? (k + kSumSlice - 1) / kSumSlice : 1;
}

int64_t product_parts(int64_t batch, int64_t m, int64_t n, int64_t k) {
    const int64_t slices = slices_of(batch, m, n, k);
    return slices > 1 ? slices * batch * m * n : 0;
}

int64_t matmul_parts(const MatmulShape& s) {
    return product_parts(s.batch_outer * s.batch_inner, s.m, s.n, s.k);
}

int64_t conv2d_parts(const ConvShape& s) {
    return product_parts(s.groups, s.n * s.oh * s.ow, s.group_o(), s.kh * s.kw * s.group_c());
}

int64_t conv2d_input_gradient_parts(const ConvShape& s) {
    // Phases take turns with the memory. None has more results or longer sums than a convolution without
    // strides.
    const int64_t k = s.kh * s.kw * s.group_o();
    return k > kSumSlice ? (k + kSumSlice - 1) / kSumSlice * std::min(s.n * s.h * s.w * s.c, kEnoughInTiles)
                         : 0;
}

int64_t conv2d_weight_gradient_parts(const ConvShape& s) {
    return product_parts(s.groups, s.group_o(), s.kh * s.kw * s.group_c(), s.n * s.oh * s.ow);
}

}  // namespace microtome::cuda
