// Values of sort, top_k and take.
#include "autograd/ops/indexing.hpp"

#include "autograd/ops/arithmetic.hpp"
#include "autograd/samples.hpp"
#include "autograd/tape.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <limits>

using namespace microtome;

TEST_CASE("sort along the last axis, in either direction", "[indexing]") {
    Tensor x = Tensor::of<float>({3, 1, 2, -5, 0, -5}, {2, 3});
    Sorted up = sort(x), down = sort(x, -1, true);
    CHECK(identical(up.values, Tensor::of<float>({1, 2, 3, -5, -5, 0}, {2, 3})));
    CHECK(identical(up.indices, Tensor::of<int64_t>({1, 2, 0, 0, 2, 1}, {2, 3})));
    CHECK(identical(down.values, Tensor::of<float>({3, 2, 1, 0, -5, -5}, {2, 3})));
    CHECK(identical(down.indices, Tensor::of<int64_t>({0, 2, 1, 1, 0, 2}, {2, 3})));
}

TEST_CASE("sort along another axis", "[indexing]") {
    Tensor x = Tensor::of<float>({3, 1, 2, 5, 0, 9}, {3, 2});
    Sorted sorted = sort(x, 0);
    CHECK(identical(sorted.values, Tensor::of<float>({0, 1, 2, 5, 3, 9}, {3, 2})));
    CHECK(identical(sorted.indices, Tensor::of<int64_t>({2, 0, 1, 1, 0, 2}, {3, 2})));
    Tensor cube = distinct({2, 3, 4});
    for (int axis : {0, 1, 2})
        CHECK(identical(gather(cube, sort(cube, axis).indices, axis), sort(cube, axis).values));
}

TEST_CASE("NaN sorts last, equals and zeros of either sign keep their order", "[indexing]") {
    const float nan = std::numeric_limits<float>::quiet_NaN(),
                infinity = std::numeric_limits<float>::infinity();
    Tensor x = Tensor::of<float>({nan, 0.0f, infinity, -0.0f, nan, -infinity, 0.0f}, {7});
    CHECK(identical(sort(x).indices, Tensor::of<int64_t>({5, 1, 3, 6, 2, 0, 4}, {7})));
    CHECK(identical(sort(x, 0, true).indices, Tensor::of<int64_t>({2, 1, 3, 6, 5, 0, 4}, {7})));
}

TEST_CASE("a long row with many equals is sorted stably", "[indexing]") {
    std::vector<float> values;
    for (int i = 0; i < 4001; ++i) values.push_back(static_cast<float>(i * 7919 % 13));
    std::vector<int64_t> order(values.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int64_t>(i);
    std::stable_sort(order.begin(), order.end(), [&](int64_t i, int64_t j) { return values[i] > values[j]; });
    Tensor x = Tensor::of(values, {4001});
    CHECK(identical(sort(x, 0, true).indices, Tensor::of(order, {4001})));
    order.resize(100);
    CHECK(identical(top_k(x, 100).indices, Tensor::of(order, {100})));
}

TEST_CASE("the largest few, and their gradient", "[indexing]") {
    Tape tape;
    Tensor x = tape.watch(Tensor::of<float>({3, 9, 2, 9, 5, 1}, {2, 3}));
    Sorted top = top_k(x, 2);
    CHECK(identical(top.values, Tensor::of<float>({9, 3, 9, 5}, {2, 2})));
    CHECK(identical(top.indices, Tensor::of<int64_t>({1, 0, 0, 1}, {2, 2})));
    Tensor g = tape.vjp({top.values}, {Tensor::of<float>({1, 2, 3, 4}, {2, 2})}, {x})[0];
    CHECK(identical(g, Tensor::of<float>({2, 1, 0, 3, 4, 0}, {2, 3})));
    CHECK(identical(top_k(x, 1, 0).values, Tensor::of<float>({9, 9, 2}, {1, 3})));
    CHECK(top_k(x, 0).values.shape() == Shape{2, 0});
    CHECK_THROWS_WITH(top_k(x, 4), Catch::Contains("[top_k] expected 0 to 3 elements"));
    CHECK_THROWS_AS(sort(Tensor::scalar(1)), ShapeError);
}

TEST_CASE("take reads rows, add_rows adds to them", "[indexing]") {
    Tensor table = Tensor::of<float>({1, 2, 3, 4, 5, 6}, {3, 2});
    Tensor index = Tensor::of<int64_t>({2, 0, 2}, {3});
    CHECK(identical(take(table, index), Tensor::of<float>({5, 6, 1, 2, 5, 6}, {3, 2})));
    CHECK(take(table, Tensor::of<int64_t>({1, 1}, {1, 2})).shape() == Shape{1, 2, 2});
    CHECK(identical(take(table, Tensor::scalar(1, Dtype::i64)), Tensor::of<float>({3, 4}, {2})));
    CHECK(identical(add_rows(table, index, 4), Tensor::of<float>({3, 4, 0, 0, 6, 8, 0, 0}, {4, 2})));
    CHECK(take(table, Tensor::zeros({0}, Dtype::i64)).shape() == Shape{0, 2});
    CHECK_THROWS_WITH(take(table, Tensor::of<int64_t>({3}, {1})),
                      Catch::Contains("indices from 0 to 2, got 3"));
    CHECK_THROWS_WITH(add_rows(table, Tensor::of<int64_t>({0, -1, 0}, {3}), 2), Catch::Contains("got -1"));
}
