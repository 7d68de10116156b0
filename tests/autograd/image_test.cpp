// Values of the image ops. Numbers without a derivation here were computed with PyTorch's interpolate,
// grid_sample and conv2d in double.
#include "autograd/ops/image.hpp"

#include "autograd/ops/arithmetic.hpp"
#include "autograd/ops/reductions.hpp"
#include "autograd/ops/shaping.hpp"
#include "autograd/samples.hpp"
#include "autograd/tape.hpp"
#include "tensor/cpu/isa.hpp"
#include "tensor/kernels/resample.hpp"
#include "tests/tensor/kernel_test_support.hpp"

#include <catch2/catch.hpp>
#include <cmath>

using namespace microtome;

namespace {

Tensor small_image() {
    return Tensor::of<double>({0, 1, 4, 9, 16, 2, 3, 5, 7, 11, 1, -1, 1, -1, 1}, {1, 3, 5, 1});
}

void check_close(const Tensor& x, const std::vector<double>& expected) {
    REQUIRE(x.elements() == static_cast<int64_t>(expected.size()));
    for (std::size_t i = 0; i < expected.size(); ++i)
        CHECK(x.data<double>()[i] == Approx(expected[i]).epsilon(1e-9).margin(1e-9));
}

Tensor maps(std::vector<double> rows) {
    return Tensor::of(rows, {static_cast<int64_t>(rows.size()) / 6, 2, 3});
}

}  // namespace

TEST_CASE("bilinear resize with half-pixel centres", "[image]") {
    Tensor x = Tensor::of<double>({1, 2, 3, 4}, {1, 2, 2, 1});
    check_close(resize_bilinear(x, 4, 4), {1, 1.25, 1.75, 2, 1.5, 1.75, 2.25, 2.5,  //
                                           2.5, 2.75, 3.25, 3.5, 3, 3.25, 3.75, 4});
    check_close(resize_bilinear(x, 1, 1), {2.5});
    check_close(resize_bilinear(small_image(), 2, 3),
                {0.8333333333, 4.25, 12.6666666667, 0.8333333333, 2.0, 2.6666666667});
    check_close(resize_bilinear(small_image(), 2, 3, Antialias::yes),
                {1.1785714286, 4.6527777778, 11.6071428571, 1.0, 1.9444444444, 3.5714285714});
    CHECK(identical(resize_bilinear(small_image(), 3, 5), small_image()));
}

TEST_CASE("bicubic resize with half-pixel centres", "[image]") {
    // Half way between pixels: weights -3/32, 19/32, 19/32, -3/32; the edge's pixel repeats.
    Tensor x = Tensor::of<double>({32, 64, 0, 32}, {1, 1, 4, 1});
    check_close(resize_bicubic(x, 1, 2), {-3 + 19 + 38 - 0.0, -6 + 0.0 + 19 - 3});
    check_close(resize_bicubic(small_image(), 2, 3),
                {0.6822193287, 4.3671875, 13.4547164352, 0.7720630787, 1.94140625, 2.2841435185});
    check_close(resize_bicubic(small_image(), 4, 7),
                {-0.2222718887, 0.1142179528,  1.5481825403,  3.9282226562, 7.1129837259, 12.720113771,
                 16.9268574617, 1.2844985651,  1.9128211552,  3.3329302285, 5.0791015625, 7.1944199276,
                 11.1945096119, 14.317653289,  1.8657553981,  1.6139674062, 2.2581534427, 3.6684570312,
                 3.5972078284,  5.1598573023,  7.0793606505,  1.1026073934, -0.56696998,  -0.9015942454,
                 0.712890625,   -1.0862691896, -1.0348829264, 0.4283607416});
    check_close(resize_bicubic(small_image(), 2, 3, Antialias::yes),
                {0.9973330041, 4.6334540296, 12.3547351525, 0.9973330041, 1.7474187166, 3.2652179281});
}

TEST_CASE("resizing leaves a constant image constant and refuses no pixels", "[image]") {
    Tensor x = Tensor::full({2, 5, 3, 2}, 0.7, Dtype::f64);
    for (auto [h, w] : {std::array{1, 1}, {3, 7}, {11, 2}, {5, 3}})
        for (Antialias antialias : {Antialias::no, Antialias::yes}) {
            check_close(resize_bilinear(x, h, w, antialias), std::vector<double>(4 * h * w, 0.7));
            check_close(resize_bicubic(x, h, w, antialias), std::vector<double>(4 * h * w, 0.7));
        }
    CHECK_THROWS_WITH(resize_bilinear(x, 0, 4), Catch::Contains("[resize_bilinear]"));
    CHECK_THROWS_WITH(resize_bicubic(Tensor::zeros({1, 0, 4, 1}), 2, 4),
                      Catch::Contains("at least one pixel"));
    CHECK_THROWS_AS(resize_bilinear(Tensor::zeros({4, 4}), 2, 2), ShapeError);
}

TEST_CASE("the adjoint of a map is its transpose", "[image]") {
    for (const SparseMatrix& a :
         {resize_matrix(7, 3, Interpolation::bicubic, true),
          resize_matrix(3, 8, Interpolation::bicubic, false), blur_matrix(4, 1.5, 6)}) {
        const SparseMatrix t = a.transposed();
        REQUIRE(t.rows() == a.columns);
        REQUIRE(t.columns == a.rows());
        auto entry = [](const SparseMatrix& m, int64_t i, int64_t j) {
            for (int64_t k = m.start[i]; k < m.start[i + 1]; ++k)
                if (m.column[k] == j) return m.weight[k];
            return 0.0;
        };
        for (int64_t i = 0; i < a.rows(); ++i) {
            double total = 0;
            for (int64_t j = 0; j < a.columns; ++j) {
                CHECK(entry(a, i, j) == entry(t, j, i));
                total += entry(a, i, j);
            }
            CHECK(total == Approx(1));
        }
    }
}

TEST_CASE("resampling has the same bits on every instruction set, thread count and batch", "[image]") {
    std::mt19937 random(1);
    Tensor x = Tensor::of(test::random_values<float>(3 * 37 * 41 * 3, random), {3, 37, 41, 3});
    Tensor first;
    for (cpu::Isa isa : test::available_isas())
        for (int threads : {1, 3}) {
            cpu::ForceIsa force(isa);
            ThreadLimit limit(threads);
            Tensor y = gaussian_blur(resize_bicubic(x, 53, 29), 1.1, 3);
            if (!first.defined()) first = y;
            CHECK(identical(y, first));
            CHECK(identical(gaussian_blur(resize_bicubic(slice_rows(x, 1, 2), 53, 29), 1.1, 3),
                            slice_rows(first, 1, 2)));
        }
}

TEST_CASE("Gaussian blur mirrors the image at its edge pixels", "[image]") {
    check_close(gaussian_blur(small_image(), 0.8, 2),
                {1.5024957371, 2.3266165481, 4.631095938, 7.996774482, 10.2016972851, 1.5697141537,
                 2.1540290501, 3.8288149781, 6.1026684356, 7.6617507496, 1.2536931464, 1.5442968445,
                 2.5612648402, 3.7321357979, 4.6527652683});
    CHECK(identical(gaussian_blur(small_image(), 1, 0), small_image()));
    // Wider than the image: two pixels a, b seen in mirrors are a b a b ..., weights of even and odd
    // distances.
    Tensor x = Tensor::of<double>({1, 0}, {1, 1, 2, 1});
    double even = 0, odd = 0;
    for (int d = -3; d <= 3; ++d) (d % 2 == 0 ? even : odd) += std::exp(-d * d / 8.0);
    check_close(gaussian_blur(x, 2, 3), {even / (even + odd), odd / (even + odd)});
    CHECK_THROWS_AS(gaussian_blur(x, 0, 1), OptionsError);
    CHECK_THROWS_AS(gaussian_blur(x, 1, -1), OptionsError);
}

TEST_CASE("an affine warp by identity, shift and quarter turn", "[image]") {
    Tensor x = Tensor::of<double>({1, 2, 3, 4, 5, 6, 7, 8, 9}, {1, 3, 3, 1});
    check_close(affine_warp(x, maps({1, 0, 0, 0, 1, 0})), {1, 2, 3, 4, 5, 6, 7, 8, 9});
    // One pixel is 2/3 of the unit: what is seen at a pixel lies one to the right.
    check_close(affine_warp(x, maps({1, 0, 2.0 / 3, 0, 1, 0})), {2, 3, 0, 5, 6, 0, 8, 9, 0});
    check_close(affine_warp(x, maps({0, 1, 0, -1, 0, 0})), {7, 4, 1, 8, 5, 2, 9, 6, 3});
    check_close(affine_warp(small_image(), maps({0.8, -0.3, 0.1, 0.2, 1.1, -0.2})),
                {0.522, 1.848, 4.65, 9.252, 8.736, 1.57, 3.249, 5.425, 7.587, 10.673, 1.338, 0.332, 1.3,
                 0.396, -0.288});
    check_close(affine_warp(x, maps({1, 0, 1e30, 0, 1, 0})), std::vector<double>(9, 0));
    CHECK_THROWS_WITH(affine_warp(x, maps({1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1, 0})), Catch::Contains("(1,2,3)"));
}

TEST_CASE("an affine warp handles each image and channel by itself", "[image]") {
    Tensor x = uniform({2, 4, 5, 3});
    Tensor theta = maps({1, 0.1, 0.2, -0.1, 0.9, 0, 0.7, 0, 0, 0.3, 1.2, 0.1});
    Tensor both = affine_warp(x, theta);
    for (int n : {0, 1}) {
        Tensor alone = affine_warp(slice_rows(x, n, n + 1), slice_rows(theta, n, n + 1));
        CHECK(identical(alone, slice_rows(both, n, n + 1)));
        for (int c = 0; c < 3; ++c)
            CHECK(identical(
                affine_warp(slice(slice_rows(x, n, n + 1), 3, c, c + 1), slice_rows(theta, n, n + 1)),
                slice(alone, 3, c, c + 1)));
    }
}

TEST_CASE("the gradients of an affine warp, by image and by map", "[image]") {
    Tensor x = uniform({2, 4, 5, 2}), v = uniform({2, 4, 5, 2}, -1, 1, 2);
    Tensor theta = maps({1, 0.13, 0.21, -0.12, 0.93, 0.03, 0.71, 0.02, 0.05, 0.31, 1.2, 0.11});
    Tape tape;
    tape.watch({x, theta});
    Tensors g = tape.vjp({affine_warp(x, theta)}, {v}, {x, theta});
    auto objective = [&](const Tensor& image, const Tensor& map) {
        return sum(affine_warp(image, map) * v).item();
    };
    const double step = 1e-6;
    for (int i = 0; i < 12; ++i) {
        Tensor up = theta.clone(), down = theta.clone();
        up.mutable_data<double>()[i] += step;
        down.mutable_data<double>()[i] -= step;
        CHECK(g[1].data<double>()[i] ==
              Approx((objective(x, up) - objective(x, down)) / (2 * step)).epsilon(1e-7));
    }
    for (int i : {0, 7, 33, 79}) {
        Tensor up = x.clone();
        up.mutable_data<double>()[i] += 1;  // linear in x
        CHECK(g[0].data<double>()[i] == Approx(objective(up, theta) - objective(x, theta)).margin(1e-12));
    }
    CHECK_NOTHROW(affine_warp(Tensor::abstract(x.spec()), Tensor::abstract(theta.spec())));
}

TEST_CASE("total variation adds up the steps between neighbours", "[image]") {
    Tensor x = Tensor::of<double>({1, 4, 2, 2, 0, 0, 0, 0}, {2, 2, 2, 1});
    check_close(total_variation(x), {3 + 0 + 1 + 2, 0});
    Tape tape;
    tape.watch(x);
    check_close(tape.gradient(total_variation(x), x), {-2, 2, 1, -1, 0, 0, 0, 0});
    check_close(total_variation(Tensor::of<double>({1, 5}, {1, 1, 2, 1})), {4});
    CHECK_THROWS_AS(total_variation(Tensor::zeros({3})), ShapeError);
}
