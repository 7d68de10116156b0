// What tf32 and bf16 mean, and the plain kernels of the device in them: rounded factors, and f32 from there.
#include "autograd/ops.hpp"
#include "autograd/tape.hpp"
#include "tensor/kernels/attention.hpp"
#include "tensor/kernels/conv2d.hpp"
#include "tensor/kernels/matmul.hpp"
#include "tests/tensor/cuda_test_support.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <random>

using namespace microtome;
using namespace microtome::testing;

namespace {

constexpr Precision kAll[] = {Precision::f32, Precision::tf32, Precision::bf16};

Tensor rounded_copy(const Tensor& x, Precision precision) {
    Tensor result = x.clone();
    for (float& value : result.mutable_data<float>()) value = rounded(value, precision);
    return result;
}

// The device with rounding has the bits of the device without, on factors that were rounded before.
template <class Kernel>
void check_kernel(const Tensor& a, const Tensor& b, const Shape& shape, const Kernel& kernel) {
    for (Precision precision : kAll) {
        auto run = [&](Precision how, const Tensor& x, const Tensor& y) {
            const ProductModeScope scope({how, false});
            Tensor result = unwritten(shape, Dtype::f32).to(kCuda);
            kernel(x.to(kCuda), y.to(kCuda), result);
            return result.to(kCpu);
        };
        const Tensor plain = run(Precision::f32, a, b), actual = run(precision, a, b);
        CHECK(agree(actual, run(Precision::f32, rounded_copy(a, precision), rounded_copy(b, precision))));
        if (shape.elements() > 8) CHECK(agree(actual, plain) == (precision == Precision::f32));
    }
}

}  // namespace

TEST_CASE("factors are rounded to the nearest number of 11 or 8 bits", "[cuda][precision]") {
    CHECK(rounded(1 + 0x1p-10f, Precision::tf32) == 1 + 0x1p-10f);
    CHECK(rounded(1 + 0x1p-11f, Precision::tf32) == 1);  // half way, to even
    CHECK(rounded(1 + 3 * 0x1p-11f, Precision::tf32) == 1 + 0x1p-9f);
    CHECK(rounded(1 + 0x1p-11f + 0x1p-23f, Precision::tf32) == 1 + 0x1p-10f);
    CHECK(rounded(1 + 0x1p-7f, Precision::bf16) == 1 + 0x1p-7f);
    CHECK(rounded(-1 - 0x1p-8f, Precision::bf16) == -1);
    CHECK(rounded(1 + 0x1p-8f + 0x1p-20f, Precision::bf16) == 1 + 0x1p-7f);
    CHECK(rounded(0x1.fep0f + 0x1p-8f, Precision::bf16) == 2);
    for (Precision precision : kAll) {
        CHECK(rounded(std::numeric_limits<float>::infinity(), precision) ==
              std::numeric_limits<float>::infinity());
        CHECK(std::isnan(rounded(std::bit_cast<float>(0x7f800001u), precision)));
        CHECK(std::signbit(rounded(-0.0f, precision)));
        CHECK(rounded(0.1, precision) == 0.1);  // f64 is left alone
        CHECK(parse_precision(str(precision)) == precision);
    }
    CHECK(std::isinf(rounded(std::numeric_limits<float>::max(), Precision::bf16)));
    std::mt19937 random(3);
    for (int i = 0; i < 10000; ++i) {
        const float x = std::bit_cast<float>(static_cast<uint32_t>(random()));
        if (!std::isnan(x)) CHECK(rounded(x, Precision::bf16) == static_cast<float>(bfloat16(x)));
        if (!std::isnormal(x) || std::abs(x) > 1e38f) continue;
        for (Precision precision : {Precision::tf32, Precision::bf16})
            CHECK(std::abs(rounded(x, precision) - x) <=
                  rounding_error(precision) * std::abs(static_cast<double>(x)));
    }
    CHECK_THROWS_WITH(parse_precision("fp16"), Catch::Contains("expected f32, tf32 or bf16, got 'fp16'"));
}

TEST_CASE("a product mode lasts as long as its scope", "[precision]") {
    CHECK(product_mode() == ProductMode{});
    {
        const ProductModeScope outer({Precision::bf16, false});
        {
            const ProductModeScope inner({Precision::tf32, true});
            CHECK(product_mode() == ProductMode{Precision::tf32, true});
        }
        CHECK(product_mode() == ProductMode{Precision::bf16, false});
    }
    CHECK(product_mode() == ProductMode{});
}

TEST_CASE("plain kernels round the factors of products and convolutions", "[cuda][precision]") {
    EmulatedDevice device;
    struct Case {
        int64_t m, n, k;
    };
    for (const Case& c : {Case{3, 5, 7}, Case{65, 63, 40}, Case{5, 3, 4097}})
        for (int transposed = 0; transposed < 4; ++transposed) {
            const auto s = MatmulShape::dense(c.m, c.n, c.k, transposed & 1, transposed & 2);
            check_kernel(
                random_tensor<float>({c.m * c.k}, 1), random_tensor<float>({c.k * c.n}, 2), {c.m * c.n},
                [&](const Tensor& a, const Tensor& b, Tensor& y) { kernels::matmul(s, a, b, y, {}); });
        }
    const ConvShape s = conv_shape({2, 7, 9, 4}, {6, 3, 2, 2},
                                   {.stride_h = 2, .stride_w = 3, .pad_top = 1, .pad_left = 2, .groups = 2});
    const Tensor x = random_tensor<float>(s.input(), 3), w = random_tensor<float>(s.filters(), 4),
                 g = random_tensor<float>(s.output(), 5);
    check_kernel(x, w, s.output(),
                 [&](const Tensor& a, const Tensor& b, Tensor& y) { kernels::conv2d(s, a, b, y, {}); });
    check_kernel(g, w, s.input(), [&](const Tensor& a, const Tensor& b, Tensor& y) {
        kernels::conv2d_input_gradient(s, a, b, y, {});
    });
    check_kernel(x, g, s.filters(), [&](const Tensor& a, const Tensor& b, Tensor& y) {
        kernels::conv2d_weight_gradient(s, a, b, y, {});
    });
}

// What is rounded are the two factors, so a product, and a gradient of one, is within 2 u + u^2 of its f32
// value, relative to the same product of sizes. (f32's own roundings are a thousand times smaller.)
TEST_CASE("reduced precision is within its bound of f32, forward and back", "[cuda][precision]") {
    EmulatedDevice device;
    auto results = [](const Tensor& x, const Tensor& w, const Tensor& g, bool convolve) {
        Tape tape;
        tape.watch({x, w});
        const Tensor y = convolve ? conv2d(x, w, {.pad_top = 1, .pad_left = 1}) : matmul(x, w);
        Tensors all{y};
        for (const Tensor& gradient : tape.vjp({y}, {g}, {x, w})) all.push_back(gradient);
        return all;
    };
    for (bool convolve : {false, true}) {
        const Tensor x = random_tensor<float>(convolve ? Shape{2, 5, 6, 3} : Shape{17, 31}, 6).to(kCuda),
                     w = random_tensor<float>(convolve ? Shape{4, 3, 2, 3} : Shape{31, 19}, 7).to(kCuda),
                     g = random_tensor<float>(convolve ? Shape{2, 4, 6, 4} : Shape{17, 19}, 8).to(kCuda);
        const Tensors exact = results(x, w, g, convolve), sizes = results(abs(x), abs(w), abs(g), convolve);
        for (Precision precision : {Precision::tf32, Precision::bf16}) {
            const ProductModeScope scope({precision, false});
            const Tensors actual = results(x, w, g, convolve);
            const double u = rounding_error(precision), bound = (2 * u + u * u) * 1.001;
            for (std::size_t r = 0; r < actual.size(); ++r) {
                const Tensor a = actual[r].to(kCpu), e = exact[r].to(kCpu), size = sizes[r].to(kCpu);
                double worst = 0;
                for (std::size_t i = 0; i < a.data<float>().size(); ++i)
                    worst = std::max(worst, std::abs(static_cast<double>(a.data<float>()[i]) -
                                                     static_cast<double>(e.data<float>()[i])) /
                                                static_cast<double>(size.data<float>()[i]));
                INFO(precision << ", result " << r << ", convolution " << convolve);
                CHECK(worst <= bound);
                CHECK(worst > bound / 100);  // it was rounded at all
            }
        }
    }
}
