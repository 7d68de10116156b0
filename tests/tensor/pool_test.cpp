// Pooling kernels against loops written out from their definitions.
#include "tensor/kernels/pool.hpp"

#include "tests/tensor/kernel_test_support.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <optional>

using namespace microtome;

namespace {

template <class T>
Tensor random_image(const Shape& shape, uint32_t seed) {
    std::mt19937 random(seed);
    return Tensor::of(test::random_values<T>(shape.elements(), random), shape);
}

// Few different values, so that there are ties, with a NaN here and there and zeros of both signs.
template <class T>
Tensor awkward_image(const Shape& shape, uint32_t seed) {
    std::mt19937 random(seed);
    const std::vector<T> values{T(-1),
                                T(0),
                                -T(0),
                                T(2),
                                T(2),
                                std::numeric_limits<T>::quiet_NaN(),
                                -std::numeric_limits<T>::infinity()};
    std::vector<T> x;
    for (int64_t i = 0; i < shape.elements(); ++i) x.push_back(values[random() % values.size()]);
    return Tensor::of(x, shape);
}

struct Geometry {
    Shape x;
    PoolOptions options;
};

const std::vector<Geometry> geometries{
    {{2, 4, 6, 3}, {}},
    {{2, 5, 7, 1}, {}},   // a row and a column over
    {{1, 2, 2, 33}, {}},  // channels beyond a vector
    {{3, 9, 8, 16}, {}},
    {{1, 3, 2, 5}, {.stride_h = 1, .stride_w = 1}},
    {{2, 7, 6, 4}, {3, 3, 2, 2, 1, 1, 1, 1}},  // ResNet's
    {{1, 8, 9, 2}, {3, 2, 1, 2, 2, 0, 0, 1}},
    {{1, 6, 6, 2}, {1, 2, 3, 3, 0, 0, 0, 0}},  // gaps
    {{2, 4, 4, 3}, {4, 4, 4, 4, 0, 0, 0, 0}},
    {{2, 5, 5, 2}, {2, 2, 2, 2, 1, 0, 1, 0}},  // 2x2, but padded
    {{0, 4, 4, 2}, {}},
    {{1, 4, 4, 0}, {}},
};

// The pixels of a window that lie in the image: body(index in window, row, column).
template <class Body>
void for_window(const PoolShape& s, int64_t i, int64_t j, const Body& body) {
    for (int64_t p = 0; p < s.kernel_h; ++p)
        for (int64_t q = 0; q < s.kernel_w; ++q) {
            int64_t row = i * s.stride_h - s.pad_top + p, column = j * s.stride_w - s.pad_left + q;
            if (row >= 0 && row < s.h && column >= 0 && column < s.w) body(p * s.kernel_w + q, row, column);
        }
}

template <class T>
void check_max_pooling(const Geometry& geometry, const Tensor& x) {
    const PoolShape s = max_pool_shape("test", geometry.x, geometry.options);
    const Dtype dtype = dtype_of<T>();
    Tensor y(Spec{s.output(), dtype, kCpu}), without(y.spec()), winner(Spec{s.output(), Dtype::u8, kCpu});
    KernelContext context;
    kernels::max_pool2d(s, x, y, &winner, context);
    kernels::max_pool2d(s, x, without, nullptr, context);
    CHECK(identical(y, without));

    std::vector<T> expected, scattered(static_cast<std::size_t>(x.elements()), T(0)), gathered;
    std::vector<uint8_t> winners;
    const Tensor g = random_image<T>(s.output(), 9), other = random_image<T>(s.input(), 10);
    std::size_t at = 0;
    for (int64_t n = 0; n < s.n; ++n)
        for (int64_t i = 0; i < s.oh; ++i)
            for (int64_t j = 0; j < s.ow; ++j)
                for (int64_t c = 0; c < s.c; ++c, ++at) {
                    std::optional<T> most;
                    int64_t index = 0, place = 0;
                    for_window(s, i, j, [&](int64_t k, int64_t row, int64_t column) {
                        const int64_t offset = ((n * s.h + row) * s.w + column) * s.c + c;
                        const T value = x.data<T>()[offset];
                        if (most && !(value > *most) && !std::isnan(value)) return;
                        most = value;
                        index = k;
                        place = offset;
                    });
                    expected.push_back(*most);
                    winners.push_back(static_cast<uint8_t>(index));
                    scattered[place] += g.data<T>()[at];
                    gathered.push_back(other.data<T>()[place]);
                }
    CHECK(identical(y, Tensor::of(expected, s.output())));
    CHECK(identical(winner, Tensor::of(winners, s.output())));

    Tensor dx(Spec{s.input(), dtype, kCpu}), dg(y.spec());
    kernels::max_unpool2d(s, g, winner, dx, context);
    CHECK(identical(dx, Tensor::of(scattered, s.input())));
    kernels::max_pool2d_gather(s, other, winner, dg, context);
    CHECK(identical(dg, Tensor::of(gathered, s.output())));
}

// <y, g> = <x, dx> for a linear map and its adjoint.
double dot(const Tensor& a, const Tensor& b) {
    double sum = 0;
    for (int64_t i = 0; i < a.elements(); ++i) sum += a.data<double>()[i] * b.data<double>()[i];
    return sum;
}

void check_average_pooling(const PoolWindows& windows) {
    const Tensor x = random_image<double>(windows.input(), 1), g = random_image<double>(windows.output(), 2);
    Tensor y(g.spec()), dx(x.spec());
    KernelContext context;
    kernels::average_pool2d(windows, x, y, context);
    const WindowAxis &rows = windows.rows, &columns = windows.columns;
    int64_t at = 0;
    for (int64_t n = 0; n < windows.n; ++n)
        for (int64_t i = 0; i < rows.count; ++i)
            for (int64_t j = 0; j < columns.count; ++j)
                for (int64_t c = 0; c < windows.c; ++c, ++at) {
                    double sum = 0;
                    int count = 0;
                    for (int64_t p = rows.begin(i); p < rows.end(i); ++p)
                        for (int64_t q = columns.begin(j); q < columns.end(j); ++q, ++count)
                            sum += x.data<double>()[((n * rows.size + p) * columns.size + q) * windows.c + c];
                    REQUIRE(count > 0);
                    CHECK(y.data<double>()[at] == sum / count);
                }
    kernels::average_unpool2d(windows, g, dx, context);
    CHECK(dot(y, g) == Approx(dot(x, dx)).margin(1e-12));
}

}  // namespace

TEST_CASE("maximum pooling, its scatter and its gather", "[pool]") {
    for (const Geometry& geometry : geometries) {
        CAPTURE(geometry.x, geometry.options.kernel_h, geometry.options.stride_h);
        check_max_pooling<float>(geometry, random_image<float>(geometry.x, 3));
        check_max_pooling<double>(geometry, random_image<double>(geometry.x, 4));
    }
}

TEST_CASE("maximum pooling of ties, signed zeros, infinities and NaN", "[pool]") {
    for (const Geometry& geometry : geometries)
        for (uint32_t seed : {1u, 2u, 3u}) {
            CAPTURE(geometry.x, geometry.options.kernel_h, geometry.options.stride_h, seed);
            check_max_pooling<float>(geometry, awkward_image<float>(geometry.x, seed));
            check_max_pooling<double>(geometry, awkward_image<double>(geometry.x, seed));
        }
}

TEST_CASE("a gradient of -0 is scattered as 0, by every path", "[pool]") {
    for (const PoolOptions& options : {PoolOptions{}, PoolOptions{.stride_h = 3}}) {
        const PoolShape s = max_pool_shape("test", {1, 2, 2, 1}, options);
        Tensor x(Spec{s.input(), Dtype::f32, kCpu});
        KernelContext context;
        kernels::max_unpool2d(s, Tensor::of<float>({-0.0f}, s.output()), Tensor::of<uint8_t>({1}, s.output()),
                              x, context);
        CHECK(identical(x, Tensor::zeros({1, 2, 2, 1})));
    }
}

TEST_CASE("average pooling counts pixels, not padding", "[pool]") {
    for (const Geometry& geometry : geometries) {
        CAPTURE(geometry.x, geometry.options.kernel_h, geometry.options.stride_h);
        check_average_pooling(pool_windows(pool_shape("test", geometry.x, geometry.options)));
    }
    for (auto [h, w, oh, ow] :
         {std::array{7, 7, 7, 7}, {7, 5, 3, 4}, {8, 6, 2, 3}, {2, 3, 5, 7}, {1, 1, 3, 3}})
        check_average_pooling(adaptive_windows("test", {2, h, w, 3}, oh, ow));
    Tensor x = Tensor::of<float>({1, 2, 3, 4}, {1, 2, 2, 1}), y(Spec{{1, 2, 2, 1}, Dtype::f32, kCpu});
    KernelContext context;
    kernels::average_pool2d(pool_windows(pool_shape("test", x.shape(), {2, 2, 2, 2, 1, 1, 1, 1})), x, y,
                            context);
    CHECK(identical(y, x));  // each window holds one pixel and three of padding
}

TEST_CASE("maxima over adaptive windows name the first of equals, or the last NaN", "[pool]") {
    for (auto [h, w, oh, ow] : {std::array{4, 4, 2, 2}, {5, 7, 3, 4}, {2, 3, 5, 7}, {6, 5, 1, 1}})
        for (uint32_t seed : {1u, 2u, 3u}) {
            const PoolWindows windows = adaptive_windows("test", {2, h, w, 3}, oh, ow);
            const Tensor x = awkward_image<float>(windows.input(), seed);
            Tensor y(Spec{windows.output(), Dtype::f32, kCpu}),
                winner(Spec{windows.output(), Dtype::i64, kCpu});
            KernelContext context;
            kernels::windowed_max(windows, x, y, &winner, context);
            int64_t at = 0;
            for (int64_t n = 0; n < 2; ++n)
                for (int64_t i = 0; i < oh; ++i)
                    for (int64_t j = 0; j < ow; ++j)
                        for (int64_t c = 0; c < 3; ++c, ++at) {
                            std::optional<float> most;
                            int64_t place = 0;
                            for (int64_t p = windows.rows.begin(i); p < windows.rows.end(i); ++p)
                                for (int64_t q = windows.columns.begin(j); q < windows.columns.end(j); ++q) {
                                    const float value = x.data<float>()[((n * h + p) * w + q) * 3 + c];
                                    if (most && !(value > *most) && !std::isnan(value)) continue;
                                    most = value;
                                    place = p * w + q;
                                }
                            CHECK(winner.data<int64_t>()[at] == place);
                            CHECK((std::isnan(*most) ? std::isnan(y.data<float>()[at])
                                                     : y.data<float>()[at] == *most));
                        }
        }
}

TEST_CASE("the windows of an axis know which pixels they hold and which windows hold a pixel", "[pool]") {
    std::vector<WindowAxis> axes;
    for (int64_t size : {1, 2, 5, 7, 12})
        for (int64_t count : {1, 2, 3, 7, 13})
            axes.push_back({.size = size, .count = count, .adaptive = true});
    for (const Geometry& geometry : geometries)
        axes.push_back(pool_windows(pool_shape("test", geometry.x, geometry.options)).rows);
    for (const WindowAxis& axis : axes) {
        for (int64_t i = 0; i < axis.count; ++i) {
            CHECK(axis.begin(i) >= 0);
            CHECK(axis.begin(i) < axis.end(i));
            CHECK(axis.end(i) <= axis.size);
            if (axis.adaptive) {
                CHECK(axis.begin(i) == std::floor(static_cast<double>(i * axis.size) / axis.count));
                CHECK(axis.end(i) == std::ceil(static_cast<double>((i + 1) * axis.size) / axis.count));
            }
        }
        for (int64_t p = 0; p < axis.size; ++p)
            for (int64_t i = 0; i < axis.count; ++i) {
                bool holds = axis.begin(i) <= p && p < axis.end(i);
                CHECK(holds == (axis.first(p) <= i && i < axis.last(p)));
            }
    }
}

TEST_CASE("pooling refuses what does not fit", "[pool]") {
    CHECK_THROWS_WITH(max_pool_shape("test", {1, 64, 64, 1}, {.kernel_h = 16, .kernel_w = 16}),
                      Catch::Contains("255"));
    CHECK_NOTHROW(pool_shape("test", {1, 64, 64, 1}, {.kernel_h = 16, .kernel_w = 16}));
    CHECK_THROWS_AS(pool_shape("test", {1, 0, 4, 1}, {3, 3, 1, 1, 2, 2, 2, 2}), ShapeError);
    CHECK_THROWS_AS(adaptive_windows("test", {1, 4, 4, 1}, 0, 1), OptionsError);
    CHECK_THROWS_AS(adaptive_windows("test", {1, 4, 0, 1}, 1, 1), ShapeError);
}

TEST_CASE("an image pools to the same bits in any batch and with any number of threads", "[pool]") {
    Tensor x = random_image<float>({5, 31, 33, 24}, 5);
    for (const PoolOptions& options : {PoolOptions{}, PoolOptions{3, 3, 2, 2, 1, 1, 1, 1}}) {
        const PoolShape s = max_pool_shape("test", x.shape(), options),
                        one = max_pool_shape("test", {1, 31, 33, 24}, options);
        Tensor y(Spec{s.output(), Dtype::f32, kCpu}), mean(y.spec());
        KernelContext context;
        kernels::max_pool2d(s, x, y, nullptr, context);
        kernels::average_pool2d(pool_windows(s), x, mean, context);
        KernelContext single;
        single.threads = 1;
        const int64_t size = one.output().elements();
        for (int64_t n = 0; n < 5; ++n) {
            Tensor alone(Spec{one.output(), Dtype::f32, kCpu});
            const Tensor image = x.view(one.input(), n * one.input().elements());
            kernels::max_pool2d(one, image, alone, nullptr, single);
            CHECK(identical(alone, y.view(one.output(), n * size)));
            kernels::average_pool2d(pool_windows(one), image, alone, single);
            CHECK(identical(alone, mean.view(one.output(), n * size)));
        }
    }
}
