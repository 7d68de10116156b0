#include "tensor/kernels/conv2d.hpp"

#include "tensor/kernels/matmul.hpp"
#include "tensor/reference/conv2d.hpp"
#include "tests/tensor/kernel_test_support.hpp"

#include <catch2/catch.hpp>

using namespace microtome;
using test::random_between;

namespace {

std::string describe(const ConvShape& s) {
    return str("x ", s.input(), " w ", s.filters(), " stride ", s.stride_h, "x", s.stride_w, " dilation ",
               s.dilation_h, "x", s.dilation_w, " padding ", s.pad_top, ",", s.pad_bottom, ",", s.pad_left,
               ",", s.pad_right, " groups ", s.groups);
}

// The three kernels beside their oracles on one geometry.
template <class T>
void check(const ConvShape& s, int threads, std::mt19937& random) {
    INFO(describe(s) << " threads " << threads << " isa " << cpu::isa_name(cpu::active_isa()));
    auto x = test::random_values<T>(s.input().elements(), random);
    auto w = test::random_values<T>(s.filters().elements(), random);
    auto g = test::random_values<T>(s.output().elements(), random);
    auto bias = test::random_values<T>(s.o, random);
    auto residual = test::random_values<T>(s.output().elements(), random);
    Epilogue<T> epilogue;
    if (random() % 2) epilogue.bias = bias.data();
    if (random() % 4 == 0) epilogue.residual = residual.data();
    epilogue.relu = random() % 2;
    epilogue.accumulate = random() % 4 == 0;

    auto y = test::random_values<T>(s.output().elements(), random), y_expected = y;
    reference::conv2d(s, x.data(), w.data(), y_expected.data(), epilogue);
    test::Workspace y_work(kernels::conv2d_workspace<T>(s, threads));
    kernels::conv2d(s, x.data(), w.data(), y.data(), KernelContext{threads, y_work.span()}, epilogue);
    REQUIRE(test::same_bits(y, y_expected));

    std::vector<T> dx(x.size(), T(-7)), dx_expected(x.size());
    reference::conv2d_input_gradient(s, g.data(), w.data(), dx_expected.data());
    test::Workspace dx_work(kernels::conv2d_input_gradient_workspace<T>(s, threads));
    kernels::conv2d_input_gradient(s, g.data(), w.data(), dx.data(), KernelContext{threads, dx_work.span()});
    REQUIRE(test::same_bits(dx, dx_expected));

    std::vector<T> dw(w.size(), T(-7)), dw_expected(w.size());
    reference::conv2d_weight_gradient(s, x.data(), g.data(), dw_expected.data());
    test::Workspace dw_work(kernels::conv2d_weight_gradient_workspace<T>(s, threads));
    kernels::conv2d_weight_gradient(s, x.data(), g.data(), dw.data(), KernelContext{threads, dw_work.span()});
    REQUIRE(test::same_bits(dw, dw_expected));
}

ConvShape random_shape(std::mt19937& random) {
    for (;;) {
        ConvOptions options;
        int64_t kh = random_between(random, 1, 5), kw = random_between(random, 1, 5);
        options.stride_h = random_between(random, 1, random() % 3 == 0 ? kh + 2 : 2);
        options.stride_w = random_between(random, 1, random() % 3 == 0 ? kw + 2 : 2);
        if (random() % 3 == 0) {
            options.dilation_h = random_between(random, 1, 4);
            options.dilation_w = random_between(random, 1, 4);
        }
        options.pad_top = random_between(random, 0, 3), options.pad_bottom = random_between(random, 0, 3);
        options.pad_left = random_between(random, 0, 3), options.pad_right = random_between(random, 0, 3);
        int64_t c = random_between(random, 1, 9), o = random_between(random, 1, 9);
        if (random() % 4 == 0) c = random_between(random, 30, 34), o = random_between(random, 14, 34);
        if (random() % 4 == 0) {
            options.groups = random_between(random, 2, 4);
            if (random() % 2)
                c = 1, o = random_between(random, 1, 2), options.groups = random_between(random, 1, 37);
        }
        Shape x{random_between(random, 1, 3), random_between(random, 1, 12), random_between(random, 1, 12),
                c * options.groups};
        try {
            return conv_shape(x, Shape{o * options.groups, kh, kw, c}, options);
        } catch (const ShapeError&) {  // the filter is larger than the padded image: draw again
        }
    }
}

}  // namespace

TEST_CASE("a convolution by hand", "[conv2d]") {
    // One row 1 2 3, filter 10 1, one zero on the left, stride 2: (0 1), (2 3).
    ConvOptions options;
    options.pad_left = 1, options.stride_w = 2;
    ConvShape s = conv_shape({1, 1, 3, 1}, {1, 1, 2, 1}, options);
    double x[] = {1, 2, 3}, w[] = {10, 1}, y[2], g[] = {1, 100}, dx[3], dw[2];
    reference::conv2d(s, x, w, y);
    REQUIRE(y[0] == 1);
    REQUIRE(y[1] == 23);
    reference::conv2d_input_gradient(s, g, w, dx);
    REQUIRE(dx[0] == 1);
    REQUIRE(dx[1] == 1000);
    REQUIRE(dx[2] == 100);
    reference::conv2d_weight_gradient(s, x, g, dw);
    REQUIRE(dw[0] == 200);
    REQUIRE(dw[1] == 301);
}

TEST_CASE("the three convolutions are one bilinear form", "[conv2d]") {
    std::mt19937 random(11);
    for (int trial = 0; trial < 60; ++trial) {
        ConvShape s = random_shape(random);
        INFO(describe(s));
        auto x = test::random_values<double>(s.input().elements(), random);
        auto w = test::random_values<double>(s.filters().elements(), random);
        auto g = test::random_values<double>(s.output().elements(), random);
        std::vector<double> y(g.size()), dx(x.size()), dw(w.size());
        reference::conv2d(s, x.data(), w.data(), y.data());
        reference::conv2d_input_gradient(s, g.data(), w.data(), dx.data());
        reference::conv2d_weight_gradient(s, x.data(), g.data(), dw.data());
        auto dot = [](const std::vector<double>& a, const std::vector<double>& b) {
            double sum = 0;
            for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
            return sum;
        };
        double form = dot(g, y);
        REQUIRE(dot(dx, x) == Approx(form).epsilon(1e-10).margin(1e-6));
        REQUIRE(dot(dw, w) == Approx(form).epsilon(1e-10).margin(1e-6));
    }
}

TEST_CASE("convolutions have the reference's bits", "[conv2d]") {
    std::mt19937 random(12);
    for (int trial = 0; trial < 120; ++trial) {
        ConvShape s = random_shape(random);
        for (cpu::Isa isa : test::available_isas()) {
            cpu::ForceIsa force(isa);
            check<float>(s, static_cast<int>(random_between(random, 1, 4)), random);
        }
    }
}

TEST_CASE("convolutions read wide images in place", "[conv2d]") {
    // Lines longer than a panel: its middle is read from the image itself, its ends are gathered.
    std::mt19937 random(16);
    for (int trial = 0; trial < 40; ++trial) {
        ConvOptions options;
        options.stride_h = random_between(random, 1, 2), options.stride_w = random_between(random, 1, 3);
        options.dilation_w = random_between(random, 1, random() % 2 ? 3 : 1);
        options.dilation_h = random_between(random, 1, 2);
        options.pad_top = random_between(random, 0, 2), options.pad_bottom = random_between(random, 0, 2);
        options.pad_left = random_between(random, 0, 4), options.pad_right = random_between(random, 0, 4);
        options.groups = random_between(random, 1, 2);
        int64_t c = random_between(random, 1, 20), o = random_between(random, 1, 20);
        const int64_t kh = random_between(random, 1, 4), kw = random_between(random, 1, 5);
        if (trial % 5 == 0) {  // a block of the sum ends within a row of taps
            c = random_between(random, 257, 300) / (kh * kw) + 1, o = random_between(random, 1, 5);
            options.groups = options.dilation_w = 1;
        }
        const ConvShape s = conv_shape({random_between(random, 1, 2), random_between(random, 7, 9),
                                        random_between(random, 16, 66), c * options.groups},
                                       {o * options.groups, kh, kw, c}, options);
        for (cpu::Isa isa : test::available_isas()) {
            cpu::ForceIsa force(isa);
            check<float>(s, static_cast<int>(random_between(random, 1, 4)), random);
        }
    }
}

TEST_CASE("the input gradient of images of few channels", "[conv2d]") {
    // Lanes are positions here, so what matters are widths around the vectors' and sums of several blocks.
    std::mt19937 random(17);
    const int64_t widths[] = {16, 17, 31, 32, 33, 48, 63, 64, 65, 80, 129};
    for (int trial = 0; trial < 24; ++trial) {
        ConvOptions options;
        options.stride_h = random_between(random, 1, 3);
        options.stride_w = trial % 3 == 0 ? 2 : 1;
        options.dilation_h = random_between(random, 1, 2), options.dilation_w = random_between(random, 1, 2);
        options.pad_top = random_between(random, 0, 3), options.pad_bottom = random_between(random, 0, 3);
        options.pad_left = random_between(random, 0, 5), options.pad_right = random_between(random, 0, 5);
        const int64_t kh = random_between(random, 1, 3), kw = random_between(random, 2, 3);
        const int64_t o = random_between(random, 1, trial % 2 ? 9 : 70);
        const ConvShape s = conv_shape({random_between(random, 1, 2), random_between(random, 5, 19),
                                        widths[random() % std::size(widths)], trial % 4 + 1},
                                       {o, kh, kw, trial % 4 + 1}, options);
        for (cpu::Isa isa : test::available_isas()) {
            if (isa == cpu::Isa::reference && trial > 4) continue;  // slow; the same source
            cpu::ForceIsa force(isa);
            check<float>(s, static_cast<int>(random_between(random, 1, 4)), random);
        }
    }
}

TEST_CASE("convolutions in f64 are the reference", "[conv2d]") {
    std::mt19937 random(13);
    for (int trial = 0; trial < 10; ++trial) check<double>(random_shape(random), 2, random);
}

TEST_CASE("convolutions at the edges", "[conv2d]") {
    std::mt19937 random(14);
    auto same = [](int64_t padding, int64_t stride = 1) {
        ConvOptions options;
        options.pad_top = options.pad_bottom = options.pad_left = options.pad_right = padding;
        options.stride_h = options.stride_w = stride;
        return options;
    };
    std::vector<ConvShape> shapes = {
        conv_shape({0, 5, 5, 3}, {4, 3, 3, 3}),                // no image
        conv_shape({2, 5, 5, 0}, {4, 3, 3, 0}),                // no channel: y is 0
        conv_shape({2, 5, 5, 3}, {0, 3, 3, 3}),                // no filter: dx is 0
        conv_shape({1, 0, 0, 3}, {4, 1, 1, 3}, same(1)),       // padding only
        conv_shape({2, 1, 1, 1}, {1, 1, 1, 1}),                //
        conv_shape({2, 2, 3, 5}, {7, 5, 5, 5}, same(2)),       // a filter larger than the image
        conv_shape({2, 9, 9, 3}, {5, 2, 2, 3}, same(0, 5)),    // a stride larger than the filter
        conv_shape({2, 7, 7, 33}, {65, 1, 1, 33}),             // 1x1: a plain product
        conv_shape({2, 7, 7, 5}, {9, 1, 1, 5}, same(0, 2)),    // 1x1 with a stride: three phases without taps
        conv_shape({1, 17, 13, 31}, {33, 3, 3, 31}, same(1)),  // the sum in two blocks
        conv_shape({3, 41, 37, 2}, {3, 3, 3, 2}, same(1)),     // the weight gradient in two slices
        conv_shape({1, 14, 14, 3}, {6, 7, 7, 3}, same(3, 2)),  // ResNet's first layer
        conv_shape({1, 20, 19, 1}, {1, 17, 17, 1}),            // depthwise with more taps than a block
    };
    ConvOptions depthwise = same(1, 2);
    depthwise.groups = 67;
    shapes.push_back(conv_shape({2, 40, 50, 67}, {67, 3, 3, 1}, depthwise));
    ConvOptions three_slices = same(1);  // of the weight gradient's sum: their order shows
    three_slices.groups = 3;
    shapes.push_back(conv_shape({3, 55, 53, 3}, {3, 3, 3, 1}, three_slices));
    for (const ConvShape& s : shapes)
        for (cpu::Isa isa : test::available_isas()) {
            cpu::ForceIsa force(isa);
            check<float>(s, 3, random);
        }
}

TEST_CASE("an image's bits do not depend on the batch around it", "[conv2d]") {
    std::mt19937 random(15);
    ConvOptions options;
    options.pad_top = options.pad_left = options.pad_bottom = options.pad_right = 1;
    Shape filters{40, 3, 3, 37};
    ConvShape five = conv_shape({5, 11, 9, 37}, filters, options),
              one = conv_shape({1, 11, 9, 37}, filters, options);
    auto x = test::random_values<float>(five.input().elements(), random);
    auto w = test::random_values<float>(five.filters().elements(), random);
    std::vector<float> whole(five.output().elements()), single(one.output().elements());
    test::Workspace workspace(
        std::max(kernels::conv2d_workspace<float>(five, 2), kernels::conv2d_workspace<float>(one, 1)));
    kernels::conv2d(five, x.data(), w.data(), whole.data(), KernelContext{2, workspace.span()});
    for (std::size_t image = 0; image < 5; ++image) {
        kernels::conv2d(one, x.data() + image * one.input().elements(), w.data(), single.data(),
                        KernelContext{1, workspace.span()});
        REQUIRE(std::equal(single.begin(), single.end(), whole.begin() + image * single.size()));
    }
}

TEST_CASE("kernels refuse a workspace that is too small", "[conv2d][matmul]") {
    const ConvShape s = conv_shape({1, 5, 5, 2}, {2, 3, 3, 2});
    std::vector<float> x(50), w(36), y(18);
    std::size_t bytes = kernels::conv2d_workspace<float>(s, 1);
    test::Workspace workspace(bytes);
    KernelContext small{1, workspace.span().first(bytes - 4)};
    REQUIRE_THROWS_AS(kernels::conv2d(s, x.data(), w.data(), y.data(), small), OptionsError);
    REQUIRE_THROWS_AS(kernels::conv2d_input_gradient(s, y.data(), w.data(), x.data(), KernelContext{1, {}}),
                      OptionsError);
    REQUIRE_THROWS_AS(kernels::conv2d_weight_gradient(s, x.data(), y.data(), w.data(), KernelContext{1, {}}),
                      OptionsError);
    REQUIRE_THROWS_AS(
        kernels::matmul(MatmulShape::dense(2, 2, 2), x.data(), w.data(), y.data(), KernelContext{1, {}}),
        OptionsError);
}

TEST_CASE("the size of a convolution's output counts each side's padding", "[conv2d]") {
    ConvOptions options;
    options.pad_top = 1, options.pad_bottom = 4, options.pad_left = 2, options.pad_right = 7;
    options.stride_h = 2, options.dilation_w = 3;
    const ConvShape s = conv_shape({2, 9, 10, 3}, {5, 3, 4, 3}, options);
    CHECK(s.oh == (9 + 1 + 4 - 3) / 2 + 1);
    CHECK(s.ow == 10 + 2 + 7 - (3 * 3 + 1) + 1);
    CHECK(s.output() == Shape{2, 6, 10, 5});
}

TEST_CASE("conv_shape says what is wrong", "[conv2d]") {
    ConvOptions options;
    REQUIRE_THROWS_AS(conv_shape({1, 5, 5}, {2, 3, 3, 1}), ShapeError);
    REQUIRE_THROWS_AS(conv_shape({1, 5, 5, 1}, {3, 3, 1}), ShapeError);
    REQUIRE_THROWS_AS(conv_shape({1, 5, 5, 1}, {2, 0, 3, 1}), ShapeError);
    REQUIRE_THROWS_WITH(conv_shape({8, 180, 180, 1}, {32, 3, 3, 3}),
                        Catch::Contains("expected x with 3 channels") && Catch::Contains("(8,180,180,1)"));
    REQUIRE_THROWS_WITH(conv_shape({1, 2, 5, 1}, {2, 3, 3, 1}), Catch::Contains("along H"));
    options.dilation_w = 3;
    REQUIRE_THROWS_WITH(conv_shape({1, 5, 6, 1}, {2, 3, 3, 1}, options), Catch::Contains("spans 7 pixels"));
    options = {};
    options.groups = 2;
    REQUIRE_THROWS_WITH(conv_shape({1, 5, 5, 4}, {3, 3, 3, 2}, options),
                        Catch::Contains("multiple of 2 groups"));
    for (auto member : {&ConvOptions::stride_h, &ConvOptions::stride_w, &ConvOptions::dilation_h,
                        &ConvOptions::dilation_w, &ConvOptions::groups}) {
        options = {};
        options.*member = 0;
        REQUIRE_THROWS_AS(conv_shape({1, 5, 5, 4}, {3, 3, 3, 4}, options), OptionsError);
    }
    for (auto member :
         {&ConvOptions::pad_top, &ConvOptions::pad_bottom, &ConvOptions::pad_left, &ConvOptions::pad_right}) {
        options = {};
        options.*member = -1;
        REQUIRE_THROWS_AS(conv_shape({1, 5, 5, 4}, {3, 3, 3, 4}, options), OptionsError);
    }
}
