// Index arithmetic of the CUDA kernels: at 0, 1, primes, the edges of 31 and 32 bits, and beyond.
#include "tensor/cuda/geometry.hpp"
#include "tensor/cuda/kernels.hpp"

#include <array>
#include <catch2/catch.hpp>
#include <random>
#include <vector>

using namespace microtome;
using namespace microtome::cuda;

TEST_CASE("division by a known number is division", "[cuda][geometry]") {
    std::vector<int64_t> divisors = {1,
                                     2,
                                     3,
                                     5,
                                     7,
                                     16,
                                     31,
                                     32,
                                     33,
                                     641,
                                     4096,
                                     65535,
                                     65536,
                                     65537,
                                     1000003,
                                     (1 << 30) - 1,
                                     1 << 30,
                                     (1 << 30) + 1,
                                     0x7ffffffe,
                                     0x7fffffff,
                                     int64_t{1} << 31,
                                     (int64_t{1} << 31) + 1,
                                     int64_t{1} << 40};
    std::mt19937_64 random(1);
    for (int i = 0; i < 200; ++i) divisors.push_back(1 + static_cast<int64_t>(random() % 0x80000001u));
    for (int64_t d : divisors) {
        const Divisor divisor(d);
        std::vector<int64_t> numbers = {0,
                                        1,
                                        d - 1,
                                        d,
                                        d + 1,
                                        2 * d - 1,
                                        2 * d,
                                        0x7ffffffe,
                                        0x7fffffff,
                                        int64_t{1} << 31,
                                        (int64_t{1} << 31) + 1,
                                        int64_t{1} << 32,
                                        (int64_t{1} << 46) + 12345};
        for (int64_t k : {int64_t{3}, int64_t{1000}, 0x7fffffff / d, 0x80000000 / d}) {
            numbers.push_back(k * d);
            numbers.push_back(k * d + d - 1);
            if (k * d > 0) numbers.push_back(k * d - 1);
        }
        for (int i = 0; i < 50; ++i)
            numbers.push_back(static_cast<int64_t>(random() >> (17 + random() % 40)));
        for (int64_t n : numbers) {
            const Division both = divide(n, divisor);
            if (both.quotient != n / d || both.remainder != n % d)
                FAIL(n << " / " << d << " gave " << both.quotient);
        }
    }
    SUCCEED();
}

namespace {

// Offsets of all elements of y in x, by NumPy's rule.
std::vector<int64_t> broadcast_offsets(const Shape& y, const Shape& x) {
    std::vector<int64_t> offsets;
    for (int64_t i = 0; i < y.elements(); ++i) {
        int64_t rest = i, offset = 0, step = 1;
        for (int axis = 1; axis <= y.rank(); ++axis) {
            const int64_t digit = rest % y[-axis];
            rest /= y[-axis];
            if (axis > x.rank()) continue;
            offset += x[-axis] == 1 ? 0 : digit * step;
            step *= x[-axis];
        }
        offsets.push_back(offset);
    }
    return offsets;
}

}  // namespace

TEST_CASE("broadcast elements are found where NumPy finds them", "[cuda][geometry]") {
    const Shape y{2, 3, 1, 5, 4};
    const Shape shapes[] = {{2, 3, 1, 5, 4}, {3, 1, 5, 4},    {4},          {1},       {},
                            {5, 1},          {2, 1, 1, 1, 4}, {3, 1, 1, 1}, {1, 5, 4}, {2, 1, 1, 5, 1}};
    for (const Shape& a : shapes)
        for (const Shape& b : shapes) {
            const Strided<2> both = broadcast(y, a, b);
            const auto in_a = broadcast_offsets(y, a), in_b = broadcast_offsets(y, b);
            REQUIRE(both.elements == y.elements());
            for (int64_t i = 0; i < y.elements(); ++i) {
                const Offsets<2> at = both.at(i);
                if (at.of[0] != in_a[i] || at.of[1] != in_b[i])
                    FAIL(a << " and " << b << " at element " << i);
            }
        }
    CHECK(broadcast(y, y).rank == 1);
    CHECK(broadcast(y, Shape{4}).rank == 2);
    CHECK(broadcast(y, Shape{}).rank == 1);
    CHECK(broadcast(Shape{}, Shape{}).elements == 1);
    CHECK(broadcast(Shape{0, 3}, Shape{3}).elements == 0);
    CHECK_THROWS_AS(broadcast(y, Shape{2}), ShapeError);
    CHECK_THROWS_AS(broadcast(Shape{3}, Shape{2, 3}), ShapeError);

    // Elements beyond 2^32 of arrays that nobody has to allocate.
    const Shape large{70000, 3, 70001};
    const Strided<2> far = broadcast(large, large, Shape{3, 1});
    const int64_t i = large.elements() - 2;
    CHECK(far.at(i).of[0] == i);
    CHECK(far.at(i).of[1] == 2);
    CHECK(far.at(int64_t{70001} * 3 * 65536 + 70001).of[1] == 1);
}

TEST_CASE("reductions gather every element once, in row-major order", "[cuda][geometry]") {
    const Shape x{2, 3, 1, 5, 4};
    for (uint32_t axes = 0; axes < 32; ++axes) {
        const ReduceShape shape = reduce_shape(x, axes);
        REQUIRE(shape.results() * shape.length() == x.elements());
        std::vector<std::vector<int64_t>> expected(static_cast<std::size_t>(shape.results()));
        for (int64_t i = 0; i < x.elements(); ++i) {
            int64_t rest = i, result = 0, step = 1;
            for (int axis = x.rank() - 1; axis >= 0; --axis) {
                const int64_t digit = rest % x[axis];
                rest /= x[axis];
                if ((axes >> axis & 1u) != 0) continue;
                result += digit * step;
                step *= x[axis];
            }
            expected[static_cast<std::size_t>(result)].push_back(i);
        }
        for (int64_t r = 0; r < shape.results(); ++r)
            for (int64_t j = 0; j < shape.length(); ++j)
                if (shape.kept.at(r).of[0] + shape.reduced.at(j).of[0] != expected[r][j])
                    FAIL(axes << ": " << r << ", " << j);
    }
    CHECK(reduce_shape(x, 1u << 4).contiguous());
    CHECK(reduce_shape(x, 31).contiguous());
    CHECK_FALSE(reduce_shape(x, 1).contiguous());
    CHECK(reduce_parts(reduce_shape(Shape{3, 4096}, 2)) == 0);
    CHECK(reduce_parts(reduce_shape(Shape{3, 4097}, 2)) == 6);
}

TEST_CASE("phases of strided convolutions meet each pixel and tap as the definition says",
          "[cuda][geometry]") {
    for (int64_t stride = 1; stride <= 4; ++stride)
        for (int64_t dilation = 1; dilation <= 4; ++dilation)
            for (int64_t taps = 1; taps <= 5; ++taps)
                for (int64_t pad = 0; pad <= 3; ++pad)
                    for (int64_t pixels : {1, 2, 7, 8})
                        for (int64_t first = 0; first < std::min(stride, pixels); ++first) {
                            const ConvPhase phase = conv_phase(pixels, taps, stride, dilation, pad, first);
                            int64_t seen = 0;
                            for (int64_t pixel = first; pixel < pixels; pixel += stride, ++seen) {
                                int64_t t = 0;
                                for (int64_t p = taps - 1; p >= 0; --p) {
                                    const int64_t at = pixel + pad - p * dilation;
                                    if (at % stride != 0) continue;
                                    if (t >= phase.taps || phase.tap - t * phase.tap_step != p ||
                                        phase.position + seen + t * phase.position_step != at / stride)
                                        FAIL("stride " << stride << ", dilation " << dilation << ", tap " << p
                                                       << ", pixel " << pixel);
                                    ++t;
                                }
                                if (t != phase.taps) FAIL("taps that do not exist");
                            }
                            REQUIRE(seen == phase.pixels);
                        }
}

TEST_CASE("sums are cut into slices where there are few results", "[cuda][geometry]") {
    CHECK(slices_of(1, 10, 10, 4096) == 1);
    CHECK(slices_of(1, 10, 10, 4097) == 2);
    CHECK(slices_of(1, 1 << 10, 1 << 10, 4097) == 1);
    CHECK(product_parts(2, 10, 10, 8193) == 600);
    CHECK(product_parts(2, 10, 10, 1) == 0);
}
