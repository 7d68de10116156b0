#include "tensor/kernels/conv_pool.hpp"

#include "base/error.hpp"
#include "base/text.hpp"
#include "tensor/kernels/conv_stage.hpp"
#include "tensor/reference/conv2d.hpp"
#include "tests/tensor/kernel_test_support.hpp"

#include <catch2/catch.hpp>
#include <cmath>

using namespace microtome;
using test::random_between;

namespace {

template <class T>
struct Arrays {
    std::vector<T> x, w, bias, g;
};

template <class T>
struct Results {
    std::vector<T> y, dx, dw, dbias;
    std::vector<uint8_t> gate;
};

std::size_t count(const Shape& shape) {
    return static_cast<std::size_t>(shape.elements());
}
Shape pooled(const ConvShape& s) {
    return {s.n, s.oh / 2, s.ow / 2, s.o};
}

Arrays<float> random_arrays(const ConvShape& s, std::mt19937& random) {
    return {test::random_values<float>(s.input().elements(), random),
            test::random_values<float>(s.filters().elements(), random),
            test::random_values<float>(s.o, random),
            test::random_values<float>(pooled(s).elements(), random)};
}

template <class T>
Results<T> run(const ConvShape& s, const Arrays<T>& a, int threads,
               const std::vector<uint8_t>* gate = nullptr) {
    Results<T> r{std::vector<T>(count(pooled(s)), T(-7)), std::vector<T>(a.x.size(), T(-7)),
                 std::vector<T>(a.w.size(), T(-7)), std::vector<T>(a.bias.size(), T(-7)),
                 std::vector<uint8_t>(count(pooled(s)), 77)};
    test::Workspace forward(kernels::conv_pool_workspace<T>(s, threads)),
        input(kernels::conv_pool_input_gradient_workspace<T>(s, threads)),
        weights(kernels::conv_pool_weight_gradient_workspace<T>(s, threads));
    kernels::conv_pool(s, a.x.data(), a.w.data(), a.bias.data(), r.y.data(), r.gate.data(),
                       KernelContext{threads, forward.span()});
    if (gate != nullptr) r.gate = *gate;
    kernels::conv_pool_input_gradient(s, a.g.data(), r.gate.data(), a.w.data(), r.dx.data(),
                                      KernelContext{threads, input.span()});
    kernels::conv_pool_weight_gradient(s, a.x.data(), a.g.data(), r.gate.data(), r.dw.data(), r.dbias.data(),
                                       KernelContext{threads, weights.span()});
    return r;
}

template <class To, class From>
std::vector<To> as(const std::vector<From>& v) {
    return {v.begin(), v.end()};
}
template <class T>
std::vector<T> sizes_of(std::vector<T> v) {
    for (T& e : v) e = std::abs(e);
    return v;
}

// The largest difference of f32 from f64, relative to what the sums of absolute values say.
double worst(const std::vector<float>& got, const std::vector<double>& wanted,
             const std::vector<double>& scale) {
    double most = 0;
    for (std::size_t i = 0; i < got.size(); ++i)
        if (double{got[i]} != wanted[i])
            most = std::max(most, std::abs(double{got[i]} - wanted[i]) / scale[i]);
    return most;
}

bool same(const Results<float>& a, const Results<float>& b) {
    return test::same_bits(a.y, b.y) && test::same_bits(a.gate, b.gate) && test::same_bits(a.dx, b.dx) &&
           test::same_bits(a.dw, b.dw) && test::same_bits(a.dbias, b.dbias);
}

void check(const ConvShape& s, std::mt19937& random) {
    INFO("x " << s.input() << " w " << s.filters() << " stride " << s.stride_h << " pad " << s.pad_top << ","
              << s.pad_left << " groups " << s.groups);
    const Arrays<float> a = random_arrays(s, random);
    const Results<float> r = run(s, a, 1);
    for (cpu::Isa isa : test::available_isas()) {
        cpu::ForceIsa force(isa);
        REQUIRE(same(run(s, a, static_cast<int>(random_between(random, 1, 4))), r));
    }
    // The same windows in f64: a rounding may let another pixel win.
    const Arrays<double> wide{as<double>(a.x), as<double>(a.w), as<double>(a.bias), as<double>(a.g)};
    const Results<double> exact = run(s, wide, 1, &r.gate);
    const Arrays<double> sizes{sizes_of(wide.x), sizes_of(wide.w), sizes_of(wide.bias), sizes_of(wide.g)};
    const Results<double> scale = run(s, sizes, 1, &r.gate);
    REQUIRE(worst(r.dw, exact.dw, scale.dw) < kernels::kConvPoolError);
    REQUIRE(worst(r.dbias, exact.dbias, scale.dbias) < kernels::kConvPoolError);
    // Winograd's bound is in the largest of a neighbourhood (tests/tensor/conv_stage_test.cpp); roughly here.
    const auto largest = [](const std::vector<double>& v) {
        double most = 0;
        for (double e : v) most = std::max(most, std::abs(e));
        return most;
    };
    const double products = static_cast<double>(s.kh * s.kw);
    REQUIRE(worst(r.y, exact.y,
                  std::vector<double>(
                      r.y.size(), products * static_cast<double>(s.c) * largest(wide.x) * largest(wide.w) +
                                      largest(wide.bias))) < kernels::kConvStageError);
    REQUIRE(worst(r.dx, exact.dx,
                  std::vector<double>(r.dx.size(), products * static_cast<double>(s.o) * largest(wide.g) *
                                                       largest(wide.w))) < kernels::kConvStageError);
}

ConvOptions padded(int64_t padding) {
    ConvOptions options;
    options.pad_top = options.pad_left = options.pad_bottom = options.pad_right = padding;
    return options;
}

}  // namespace

TEST_CASE("gradients of a convolution behind a pooling, on awkward shapes", "[conv_pool]") {
    std::mt19937 random(51);
    for (int64_t c : {1, 2, 3, 5, 16, 32, 48, 64})
        for (int trial = 0; trial < 4; ++trial) {
            const int64_t o = std::vector<int64_t>{1, 7, 32, 65}[random() % 4];
            ConvOptions options = padded(trial % 2);
            if (trial == 3) options.pad_top = 2, options.pad_right = 0;
            check(conv_shape({random_between(random, 1, 3), random_between(random, 4, 21),
                              random_between(random, 4, 23), c},
                             {o, 3, 3, c}, options),
                  random);
        }
    // Filters that are no squares of three, and more taps down than a tile takes at once.
    for (const auto& [kh, kw, c] : {std::tuple<int64_t, int64_t, int64_t>{1, 1, 3},
                                    {5, 3, 16},
                                    {2, 2, 8},
                                    {3, 2, 16},
                                    {5, 5, 1},
                                    {4, 3, 32}})
        check(conv_shape({2, 9, 10, c}, {5, kh, kw, c}, padded(1)), random);
    ConvOptions strided = padded(1);
    strided.stride_h = strided.stride_w = 2;
    check(conv_shape({2, 13, 14, 16}, {8, 3, 3, 16}, strided), random);
    ConvOptions grouped = padded(1);
    grouped.groups = 2;
    check(conv_shape({2, 6, 7, 32}, {8, 3, 3, 16}, grouped), random);
}

TEST_CASE("weight gradients behind a pooling sum any number of images", "[conv_pool]") {
    std::mt19937 random(52);
    for (int64_t images : {1, 15, 16, 17, 33})
        check(conv_shape({images, 6, 5, 3}, {4, 3, 3, 3}, padded(1)), random);
    check(conv_shape({18, 7, 8, 16}, {5, 3, 3, 16}), random);
}

TEST_CASE("what has no images or no window has a gradient of zeros", "[conv_pool]") {
    std::mt19937 random(53);
    for (const auto& x : {Shape{0, 6, 6, 3}, Shape{2, 3, 9, 3}, Shape{2, 9, 3, 3}}) {
        const ConvShape s = conv_shape(x, {4, 3, 3, 3});
        const Results<float> r = run(s, random_arrays(s, random), 2);
        for (const auto* v : {&r.dx, &r.dw, &r.dbias})
            for (float e : *v) REQUIRE(e == 0.0f);
    }
}

TEST_CASE("where the ReLU shut every window the gradient is zero", "[conv_pool]") {
    const ConvShape s = conv_shape({1, 6, 6, 16}, {3, 3, 3, 16}, padded(1));
    Arrays<float> a{std::vector<float>(count(s.input()), 1.0f),
                    std::vector<float>(count(s.filters()), -1.0f),
                    {0, 0, 0},
                    std::vector<float>(count(pooled(s)), 5.0f)};
    const Results<float> r = run(s, a, 1);
    for (uint8_t byte : r.gate) REQUIRE(byte == 4);
    for (const auto* v : {&r.y, &r.dx, &r.dw, &r.dbias})
        for (float e : *v) REQUIRE(e == 0.0f);
}

TEST_CASE("a gate of other bytes is told apart, and too little memory is refused", "[conv_pool]") {
    std::vector<uint8_t> gate(100, 4);
    CHECK(kernels::is_conv_pool_gate(gate.data(), 100));
    gate[77] = 5;
    CHECK_FALSE(kernels::is_conv_pool_gate(gate.data(), 100));
    CHECK(kernels::is_conv_pool_gate(gate.data(), 77));
    const ConvShape s = conv_shape({1, 6, 6, 3}, {4, 3, 3, 3});
    std::vector<float> x(count(s.input())), w(count(s.filters())), g(count(pooled(s))), bias(4);
    std::vector<uint8_t> bytes(g.size());
    const KernelContext none{1, {}};
    CHECK_THROWS_AS(kernels::conv_pool(s, x.data(), w.data(), bias.data(), g.data(), bytes.data(), none),
                    OptionsError);
    CHECK_THROWS_AS(kernels::conv_pool_input_gradient(s, g.data(), bytes.data(), w.data(), x.data(), none),
                    OptionsError);
    CHECK_THROWS_AS(
        kernels::conv_pool_weight_gradient(s, x.data(), g.data(), bytes.data(), w.data(), bias.data(), none),
        OptionsError);
}
