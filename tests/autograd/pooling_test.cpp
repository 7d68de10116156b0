// Values of the pooling ops, and what happens on a tape.
#include "autograd/ops/pooling.hpp"

#include "autograd/tape.hpp"

#include <catch2/catch.hpp>
#include <limits>

using namespace microtome;

TEST_CASE("average pooling of a small image", "[pooling]") {
    Tensor x = Tensor::of<float>({1, 2, 3, 4, 5, 6, 7, 8}, {1, 2, 4, 1});
    CHECK(identical(average_pool2d(x), Tensor::of<float>({3.5f, 5.5f}, {1, 1, 2, 1})));
    Tape tape;
    tape.watch(x);
    Tensor g = tape.vjp({average_pool2d(x)}, {Tensor::of<float>({4, 8}, {1, 1, 2, 1})}, {x})[0];
    CHECK(identical(g, Tensor::of<float>({1, 1, 2, 2, 1, 1, 2, 2}, {1, 2, 4, 1})));
    CHECK(identical(global_average_pool2d(x), Tensor::of<float>({4.5f}, {1, 1})));
    CHECK_THROWS_WITH(global_average_pool2d(Tensor::zeros({2, 3})), Catch::Contains("(N, H, W, C)"));
}

TEST_CASE("adaptive pooling uses PyTorch's windows", "[pooling]") {
    // Five pixels to three windows: 0..1, 1..3, 3..4.
    Tensor x = Tensor::of<float>({1, 2, 3, 4, 9}, {1, 1, 5, 1});
    CHECK(identical(adaptive_average_pool2d(x, 1, 3), Tensor::of<float>({1.5f, 3, 6.5f}, {1, 1, 3, 1})));
    CHECK(identical(adaptive_max_pool2d(x, 1, 3), Tensor::of<float>({2, 4, 9}, {1, 1, 3, 1})));
    CHECK(identical(adaptive_max_pool2d(x, 1, 5), x));
    CHECK_THROWS_WITH(adaptive_average_pool2d(x, 0, 1), Catch::Contains("[adaptive_average_pool2d]"));
}

TEST_CASE("adaptive maximum pooling: overlapping windows share a winner, NaN wins", "[pooling]") {
    Tape tape;
    Tensor x = tape.watch(Tensor::of<float>({1, 9, 3, 3, 2}, {1, 1, 5, 1}));
    Tensor g = tape.vjp({adaptive_max_pool2d(x, 1, 3)}, {Tensor::of<float>({1, 2, 4}, {1, 1, 3, 1})}, {x})[0];
    CHECK(identical(g, Tensor::of<float>({0, 3, 0, 4, 0}, {1, 1, 5, 1})));
    const float nan = std::numeric_limits<float>::quiet_NaN();
    Tensor y = adaptive_max_pool2d(Tensor::of<float>({1, nan, 3}, {1, 1, 3, 1}), 1, 1);
    CHECK(y.item() != y.item());
}

TEST_CASE("winners outside the image are refused", "[pooling]") {
    Tensor g = Tensor::zeros({1, 2, 2, 3});
    auto with = [](int place, uint8_t pixel) {
        std::vector<uint8_t> winners(12, 3);
        winners[static_cast<std::size_t>(place)] = pixel;
        return Tensor::of(winners, {1, 2, 2, 3});
    };
    CHECK_NOTHROW(max_unpool2d(g, with(7, 0), 4, 4));
    for (int place = 0; place < 12; ++place)
        CHECK_THROWS_WITH(max_unpool2d(g, with(place, 4), 4, 4), Catch::Contains("got 4 in a window of 2x2"));
    // With a padded row above, the upper pixels of the upper windows are no pixels.
    const Tensor x = Tensor::zeros({1, 3, 4, 3});
    CHECK_NOTHROW(max_pool2d_gather(x, with(0, 2), {.pad_top = 1}));
    CHECK_THROWS_WITH(max_pool2d_gather(x, with(0, 1), {.pad_top = 1}), Catch::Contains("inside the image"));
}
