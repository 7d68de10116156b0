#include "autograd/ops/dropout.hpp"
#include "autograd/tape.hpp"
#include "value_test_support.hpp"

using namespace microtome;
using namespace microtome::test;

namespace {

Tensor ids(std::initializer_list<int64_t> list) {
    return Tensor::of(list, {static_cast<int64_t>(list.size())});
}

const Tensor key = key_tensor({.seed = 7, .purpose = purpose_of("dropout:test"), .step = 3});

}  // namespace

TEST_CASE("dropout drops where its stream of uniforms is below the rate", "[dropout_ops]") {
    const Tensor x = Tensor::full({2, 3, 7}, 3), y = dropout(x, 0.25, key, ids({5, 9}));
    std::vector<double> expected;
    for (uint64_t id : {5, 9}) {
        std::vector<float> drawn(21);
        fill_uniform({7, purpose_of("dropout:test"), id, 0, 3}, std::span<float>(drawn));
        for (float u : drawn) expected.push_back(u < 0.25f ? 0 : 4);
    }
    require_equal(y, expected);
    REQUIRE(std::count(expected.begin(), expected.end(), 0.0) > 0);
    Tape tape;
    tape.watch(x);
    Tensor g = tape.gradient(dropout(x, 0.25, key, ids({5, 9})), x);
    for (double& e : expected) e = e > 0 ? 1 / 0.75 : 0;
    require_close(g, expected, 1e-6);
}

TEST_CASE("what is dropped depends on key and id alone", "[dropout_ops]") {
    const Tensor one = Tensor::full({1, 64}, 1), three = Tensor::full({3, 64}, 1);
    const Tensor y = dropout(three, 0.5, key, ids({1, 2, 1}));
    REQUIRE(identical(y.view({1, 64}, 64), dropout(one, 0.5, key, ids({2}))));
    REQUIRE(identical(y.view({1, 64}, 0), y.view({1, 64}, 128)));
    REQUIRE_FALSE(identical(y.view({1, 64}, 0), y.view({1, 64}, 64)));
    for (const RandomKey& other :
         {RandomKey{8, purpose_of("dropout:test"), 0, 0, 3}, RandomKey{7, 1, 0, 0, 3},
          RandomKey{7, purpose_of("dropout:test"), 0, 1, 3},
          RandomKey{7, purpose_of("dropout:test"), 0, 0, 4}})
        REQUIRE_FALSE(
            identical(dropout(one, 0.5, key_tensor(other), ids({2})), dropout(one, 0.5, key, ids({2}))));
}

TEST_CASE("dropout keeps the mean, and a rate of 0 keeps everything", "[dropout_ops]") {
    const Tensor x = Tensor::full({4, 10000}, 1);
    const Tensor four = ids({0, 1, 2, 3});
    double total = 0;
    for (double y : values(dropout(x, 0.3, key, four))) total += y;
    REQUIRE(total / 40000 == Approx(1).margin(0.02));
    REQUIRE(identical(dropout(x, 0, key, four), x));
}

TEST_CASE("drop path drops whole samples", "[dropout_ops]") {
    std::vector<int64_t> many(200);
    for (int64_t i = 0; i < 200; ++i) many[static_cast<std::size_t>(i)] = i;
    const std::vector<double> y =
        values(drop_path(Tensor::full({200, 2, 3}, 2), 0.5, key, Tensor::of(many, {200})));
    int dropped = 0;
    for (std::size_t n = 0; n < 200; ++n) {
        for (std::size_t i = 0; i < 6; ++i) REQUIRE(y[n * 6 + i] == y[n * 6]);
        REQUIRE((y[n * 6] == 0 || y[n * 6] == 4));
        dropped += y[n * 6] == 0;
    }
    REQUIRE(dropped > 70);
    REQUIRE(dropped < 130);
}

TEST_CASE("dropout refuses what makes no sense", "[dropout_ops]") {
    const Tensor x = Tensor::full({2, 3}, 1);
    REQUIRE_THROWS_WITH(dropout(x, 1, key, ids({0, 1})), Catch::Contains("rate in [0,1), got 1"));
    REQUIRE_THROWS_WITH(dropout(x, 0.5, key, ids({0})), Catch::Contains("ids (N)"));
    REQUIRE_THROWS_WITH(drop_path(x, 0.5, x, ids({0, 1})), Catch::Contains("key i64(4)"));
}
