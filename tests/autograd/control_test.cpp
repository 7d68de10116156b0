// cast and external functions.
#include "autograd/ops/control.hpp"

#include "autograd/ops/arithmetic.hpp"
#include "autograd/ops/indexing.hpp"
#include "autograd/ops/reductions.hpp"
#include "autograd/tape.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

using namespace microtome;

TEST_CASE("cast converts between element types", "[control]") {
    Tensor x = Tensor::of({0.1, -2.7, 300.0}, {3});
    CHECK(identical(cast(x, Dtype::f32), Tensor::of<float>({0.1f, -2.7f, 300.0f}, {3})));
    CHECK(identical(cast(x, Dtype::i64), Tensor::of<int64_t>({0, -2, 300}, {3})));
    CHECK(identical(cast(x, Dtype::u8), Tensor::of<uint8_t>({0, 0, 255}, {3})));
    CHECK(identical(cast(Tensor::of<uint8_t>({7, 255}, {2}), Dtype::f32), Tensor::of<float>({7, 255}, {2})));
    CHECK(cast(x, Dtype::f64).id() == x.id());
}

TEST_CASE("a gradient through cast comes back in the input's type, and none through integers", "[control]") {
    Tape tape;
    Tensor x = tape.watch(Tensor::of<float>({0.5f, 2}, {2}));
    Tensor y = cast(x, Dtype::f64);
    Tensor g = tape.gradient(y * y, x);
    CHECK(identical(g, Tensor::of<float>({1, 4}, {2})));
    CHECK_FALSE(tape.follows(cast(x, Dtype::i64)));
    CHECK_FALSE(tape.follows(cast(cast(x, Dtype::i64), Dtype::f32)));
    CHECK_THROWS_AS(tape.gradient(cast(x, Dtype::i64), x), TapeError);
}

TEST_CASE("an external function is one op with the gradient it brings", "[control]") {
    auto cube = [](const Tensor& x) { return x * x * x; };  // its inside is not recorded
    auto slope = [](const Tensor& x, const Tensor& g) { return 3.0 * x * x * g; };
    Tape tape;
    Tensor x = tape.watch(Tensor::of({2.0, -1.0}, {2}));
    Tensor y = external("cube", x, cube, slope);
    CHECK(identical(y, Tensor::of({8.0, -1.0}, {2})));
    CHECK(tape.records().size() == 1);
    CHECK(identical(tape.gradient(y, x), Tensor::of({12.0, 3.0}, {2})));
}

TEST_CASE("an external function has no second derivative, and says so", "[control]") {
    Tape outer;
    Tensor x = outer.watch(Tensor::of({2.0, -1.0}, {2}));
    Tape inner;
    inner.watch(x);
    Tensor y = external(
        "square", x, [](const Tensor& t) { return t * t; },
        [](const Tensor& t, const Tensor& g) { return 2.0 * t * g; });
    Tensor g = inner.gradient(y, x);
    CHECK(identical(g, Tensor::of({4.0, -2.0}, {2})));
    CHECK_THROWS_AS(outer.gradient(g, x), TapeError);
    CHECK_THROWS_AS(outer.gradient(g * x, x), TapeError);  // not half of it either
}

TEST_CASE("an external function of several tensors", "[control]") {
    // (a, b) to (sum of a, a[0] * b), with a gradient for a alone.
    ExternalFunction function{.name = "several",
                              .shape_rule =
                                  [](const Specs& in) {
                                      return Specs{{{}, in[0].dtype, kCpu}, in[1]};
                                  },
                              .forward =
                                  [](const Tensors& in) {
                                      return Tensors{sum(in[0]), in[1] * in[0].data<double>()[0]};
                                  },
                              .vjp =
                                  [](const Tensors& in, const Tensors&, const Tensors& g) {
                                      Tensor d = Tensor::full(in[0].shape(), g[0].item(), Dtype::f64);
                                      d.mutable_data<double>()[0] += sum(g[1] * in[1]).item();
                                      return Tensors{d, Tensor()};
                                  }};
    Tape tape;
    Tensor a = tape.watch(Tensor::of({2.0, 5.0}, {2})), b = tape.watch(Tensor::of({3.0, 4.0}, {2}));
    Tensors y = external(function, {a, b});
    CHECK(y[0].item() == 7);
    CHECK(identical(y[1], Tensor::of({6.0, 8.0}, {2})));
    Tensors both = tape.gradient(y[0] + sum(y[1]), {a, b});
    CHECK(identical(both[0], Tensor::of({8.0, 1.0}, {2})));
    CHECK(identical(both[1], Tensor::of({0.0, 0.0}, {2})));  // undefined is zero
    CHECK(identical(tape.gradient(y[0], a), Tensor::of({1.0, 1.0}, {2})));
}

TEST_CASE("external functions that do not keep their word are refused", "[control]") {
    Tape tape;
    Tensor x = tape.watch(Tensor::of({2.0, -1.0}, {2}));
    auto itself = [](const Tensor& t) { return t; };
    Tensor y = external("no gradient", x, itself, nullptr);
    CHECK_THROWS_WITH(tape.gradient(y, x), Catch::Contains("[no gradient]") && Catch::Contains("no vjp"));
    CHECK_THROWS_AS(tape.gradient(y, x), TapeError);
    auto wrong = [](const Tensor& t) { return sum(t); };
    CHECK_THROWS_WITH(external("wrong shape", x, wrong, nullptr),
                      Catch::Contains("[wrong shape] expected f64(2) as output 0, got f64()"));
    ExternalFunction none{.name = "none",
                          .shape_rule = [](const Specs& in) { return in; },
                          .forward = [](const Tensors&) { return Tensors{Tensor()}; }};
    CHECK_THROWS_WITH(external(none, {x}), Catch::Contains("got no tensor"));
    CHECK_THROWS_AS(external(ExternalFunction{}, {x}), OptionsError);
    ExternalFunction few{.name = "few",
                         .shape_rule = [](const Specs& in) { return in; },
                         .forward = [](const Tensors& in) { return in; },
                         .vjp = [](const Tensors&, const Tensors&, const Tensors&) { return Tensors{}; }};
    CHECK_THROWS_WITH(tape.gradient(external(few, {x})[0], x), Catch::Contains("expected 1 gradients"));
}

TEST_CASE("a result that is the input becomes a tensor of its own", "[control]") {
    Tensor x = Tensor::of({1.0}, {1});
    Tensor y = external(
        "itself", x, [](const Tensor& t) { return t; }, nullptr);
    CHECK(identical(x, y));
    CHECK_FALSE(y.shares_storage_with(x));
}
