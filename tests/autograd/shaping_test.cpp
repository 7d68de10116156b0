// Values of the ops that move elements; their gradients are checked by the gradient checker.
#include "autograd/ops/shaping.hpp"

#include "autograd/tape.hpp"

#include <catch2/catch.hpp>
#include <numeric>

using namespace microtome;

namespace {

// 0, 1, 2, ... in row-major order.
Tensor counting(const Shape& shape) {
    std::vector<float> x(static_cast<std::size_t>(shape.elements()));
    std::iota(x.begin(), x.end(), 0.0f);
    return Tensor::of(x, shape);
}

}  // namespace

TEST_CASE("slice takes elements begin to end - 1 of an axis", "[shaping]") {
    Tensor x = counting({2, 3, 4});
    CHECK(identical(slice(x, 2, 1, 3),
                    Tensor::of<float>({1, 2, 5, 6, 9, 10, 13, 14, 17, 18, 21, 22}, {2, 3, 2})));
    CHECK(identical(slice(x, 1, 2, 3), Tensor::of<float>({8, 9, 10, 11, 20, 21, 22, 23}, {2, 1, 4})));
    CHECK(identical(slice(x, -2, 2, 3), slice(x, 1, 2, 3)));
    CHECK(identical(slice(x, {0, 1, 1}, {1, 3, 2}), Tensor::of<float>({5, 9}, {1, 2, 1})));
    CHECK(slice(x, 1, 2, 2).shape() == Shape{2, 0, 4});
    Tensor labels = Tensor::of<int64_t>({7, 8, 9, 10}, {2, 2});
    CHECK(identical(slice(labels, 1, 1, 2), Tensor::of<int64_t>({8, 10}, {2, 1})));
    CHECK_THROWS_WITH(slice(x, 2, 3, 5), Catch::Contains("end <= 4 on axis 2"));
    CHECK_THROWS_WITH(slice(x, 0, 1, 3), Catch::Contains("[slice_rows]"));
    CHECK_THROWS_AS(slice(x, 3, 0, 1), ShapeError);
}

TEST_CASE("a slice of the first axis shares storage, others do not", "[shaping]") {
    Tensor x = counting({4, 3});
    Tensor rows = slice(x, 0, 1, 3), columns = slice(x, 1, 1, 3);
    CHECK(identical(rows, Tensor::of<float>({3, 4, 5, 6, 7, 8}, {2, 3})));
    CHECK(rows.shares_storage_with(x));
    CHECK_FALSE(columns.shares_storage_with(x));
    x.mutable_data<float>()[3] = -1;
    CHECK(rows.data<float>()[0] == -1);
    CHECK(slice(x, 0, 0, 4).id() == x.id());
    CHECK(slice(x, 1, 0, 3).id() == x.id());
}

TEST_CASE("split cuts an axis into pieces that concat joins again", "[shaping]") {
    Tensor x = counting({2, 5, 3});
    for (int axis : {0, 1, 2, -1}) {
        const int64_t size = x.size(axis);
        Tensors parts = split(x, axis, {1, 0, size - 1});
        REQUIRE(parts.size() == 3);
        CHECK(parts[0].size(axis) == 1);
        CHECK(parts[1].elements() == 0);
        CHECK(identical(concat(parts, axis), x));
    }
    CHECK_THROWS_WITH(split(x, 1, {2, 2}), Catch::Contains("add up to 5"));
}

TEST_CASE("concat puts tensors one after another, stack on a new axis", "[shaping]") {
    Tensor a = Tensor::of<float>({1, 2, 3, 4}, {2, 2}), b = Tensor::of<float>({5, 6}, {2, 1});
    CHECK(identical(concat({a, b}, 1), Tensor::of<float>({1, 2, 5, 3, 4, 6}, {2, 3})));
    CHECK(identical(concat({a, a}, 0), Tensor::of<float>({1, 2, 3, 4, 1, 2, 3, 4}, {4, 2})));
    Tensor c = Tensor::of<float>({1, 2}, {2}), d = Tensor::of<float>({3, 4}, {2});
    CHECK(identical(stack({c, d}, 0), Tensor::of<float>({1, 2, 3, 4}, {2, 2})));
    CHECK(identical(stack({c, d}, 1), Tensor::of<float>({1, 3, 2, 4}, {2, 2})));
    CHECK(identical(stack({c, d}, -1), stack({c, d}, 1)));
    CHECK_THROWS_WITH(stack({c, d}, 2), Catch::Contains("axis from 0 to 1"));
    CHECK_THROWS_WITH(stack({c, a}, 0), Catch::Contains("one shape"));
    CHECK_THROWS_WITH(stack({}, 0), Catch::Contains("at least one"));
    CHECK_THROWS_WITH(concat({}, 0), Catch::Contains("at least one"));
}

TEST_CASE("more tensors than an op has inputs are joined too, each with its gradient", "[shaping]") {
    Tape tape;
    Tensors xs;
    std::vector<float> expected;
    for (int i = 0; i < 70; ++i) {
        xs.push_back(Tensor::of<float>({static_cast<float>(i), 0.5f}, {1, 2}));
        expected.insert(expected.end(), {static_cast<float>(i), 0.5f});
    }
    tape.watch(xs);
    Tensor y = concat(xs, 0);
    CHECK(identical(y, Tensor::of(expected, {70, 2})));
    Tensors g = tape.vjp({y}, {counting({70, 2})}, xs);
    for (int i = 0; i < 70; ++i)
        CHECK(identical(g[i], Tensor::of<float>(
                                  {2.0f * static_cast<float>(i), 2.0f * static_cast<float>(i) + 1}, {1, 2})));
}

TEST_CASE("pad surrounds with zeros", "[shaping]") {
    Tensor x = Tensor::of<float>({1, 2, 3, 4}, {2, 2});
    CHECK(
        identical(pad(x, {{1, 0}, {0, 2}}), Tensor::of<float>({0, 0, 0, 0, 1, 2, 0, 0, 3, 4, 0, 0}, {3, 4})));
    Tensor image = counting({1, 1, 2, 2});
    CHECK(identical(pad_images(image, {0, 1}, {1, 0}),
                    Tensor::of<float>({0, 0, 0, 1, 2, 3, 0, 0, 0, 0, 0, 0}, {1, 2, 3, 2})));
    CHECK(identical(pad(Tensor::of<int64_t>({5}, {1}), {{1, 1}}), Tensor::of<int64_t>({0, 5, 0}, {3})));
    CHECK(identical(pad(Tensor::zeros({0, 2}), {{1, 0}, {0, 0}}), Tensor::zeros({1, 2})));
    CHECK_THROWS_AS(pad(x, {{-1, 0}, {0, 0}}), OptionsError);
    CHECK_THROWS_WITH(pad_images(x, {}, {}), Catch::Contains("(N, H, W, C)"));
}

TEST_CASE("slice undoes pad", "[shaping]") {
    Tensor x = counting({2, 3, 4});
    CHECK(identical(slice(pad(x, {{1, 2}, {0, 1}, {3, 0}}), {1, 0, 3}, {3, 3, 7}), x));
}

TEST_CASE("flip reverses one axis", "[shaping]") {
    Tensor x = counting({2, 3, 2});
    CHECK(identical(flip(x, 0), Tensor::of<float>({6, 7, 8, 9, 10, 11, 0, 1, 2, 3, 4, 5}, {2, 3, 2})));
    CHECK(identical(flip(x, 1), Tensor::of<float>({4, 5, 2, 3, 0, 1, 10, 11, 8, 9, 6, 7}, {2, 3, 2})));
    CHECK(identical(flip(x, -1), Tensor::of<float>({1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10}, {2, 3, 2})));
    Tensor large = counting({3, 101, 307});  // large enough for threads
    CHECK(identical(flip(flip(large, 1), 1), large));
    CHECK(flip(large, 1).data<float>()[0] == 100 * 307);
}
