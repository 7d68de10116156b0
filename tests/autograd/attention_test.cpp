#include "autograd/ops/attention.hpp"

#include "autograd/ops/shaping.hpp"
#include "autograd/samples.hpp"
#include "autograd/tape.hpp"
#include "value_test_support.hpp"

using namespace microtome;
using namespace microtome::test;

namespace {

// The teaching form on the unpacked heads.
Tensor attention_by_ops(const Tensor& qkv) {
    const int64_t n = qkv.size(0), t = qkv.size(1), h = qkv.size(3), d = qkv.size(4);
    Tensor packed = permute(qkv, {2, 0, 3, 1, 4});
    auto part = [&](int64_t i) { return reshape(slice(packed, 0, i, i + 1), Shape{n, h, t, d}); };
    return reshape(permute(scaled_dot_product(part(0), part(1), part(2)), {0, 2, 1, 3}), Shape{n, t, h * d});
}

}  // namespace

TEST_CASE("scaled dot-product attention, by hand", "[attention]") {
    // Scores 1 / sqrt(2) and 0.
    const double a = std::exp(1 / std::sqrt(2.0)), p = a / (a + 1);
    require_close(scaled_dot_product(tensor({1, 0}, {1, 2}), tensor({1, 0, 0, 1}, {2, 2}),
                                     tensor({10, 20, 30, 0, 0, 1}, {2, 3})),
                  {10 * p, 20 * p, 30 * p + 1 - p});
}

TEST_CASE("packed attention is the teaching form, and so is its gradient", "[attention]") {
    const Dtype dtype = GENERATE(Dtype::f64, Dtype::f32);
    const Shape shape = GENERATE(Shape{1, 1, 3, 1, 1}, Shape{2, 5, 3, 2, 3}, Shape{3, 17, 3, 3, 8},
                                 Shape{1, 65, 3, 2, 16}, Shape{5, 197, 3, 6, 4}, Shape{0, 4, 3, 2, 2});
    CAPTURE(dtype, shape);
    const double tolerance = dtype == Dtype::f64 ? 1e-13 : 3e-6;
    const Tensor qkv = as(uniform(shape, -2, 2), dtype);
    const Tensor g = as(uniform({shape[0], shape[1], shape[3] * shape[4]}, -1, 1, 2), dtype);
    Tape tape;
    tape.watch(qkv);
    Tensor fast = attention(qkv, shape[3]);
    REQUIRE(tape.records().size() == 1);
    REQUIRE(kept_bytes(tape) == qkv.spec().bytes());
    Tensor slow = attention_by_ops(qkv);
    require_close(fast, values(slow), tolerance);
    require_close(tape.vjp({fast}, {g}, {qkv})[0], values(tape.vjp({slow}, {g}, {qkv})[0]), tolerance);
}

TEST_CASE("a sample's attention does not depend on its batch or on threads", "[attention]") {
    const Tensor all = as(uniform({9, 197, 3, 3, 8}), Dtype::f32);  // several blocks
    const Tensor y = attention(all, 3);
    ThreadLimit one(1);
    for (int64_t i : {0, 4, 8}) {
        const Tensor x = all.view({1, 197, 3, 3, 8}, i * 197 * 72);
        REQUIRE(identical(attention(x, 3), y.view({1, 197, 24}, i * 197 * 24)));
    }
}

TEST_CASE("attention takes unsplit widths and refuses what does not fit", "[attention]") {
    const Tensor x = uniform({2, 3, 12});
    REQUIRE(identical(attention(x, 2), attention(reshape(x, {2, 3, 3, 2, 2}), 2)));
    REQUIRE_THROWS_WITH(attention(x, 3), Catch::Contains("3 heads divide the width"));
    REQUIRE_THROWS_WITH(attention(x, 0), Catch::Contains("got 0"));
    REQUIRE_THROWS_WITH(attention(uniform({2, 3}), 1), Catch::Contains("(N, T, 3 H D)"));
    REQUIRE_THROWS_WITH(attention(reshape(x, {2, 3, 3, 2, 2}), 3), Catch::Contains("the 2 heads"));
}
