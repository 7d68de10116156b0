// Products, convolutions, attention and pooling on the emulated device: the CPU's bits.
#include "tensor/kernels/attention.hpp"
#include "tensor/kernels/conv2d.hpp"
#include "tensor/kernels/elementwise.hpp"
#include "tensor/kernels/matmul.hpp"
#include "tensor/kernels/pool.hpp"
#include "tests/tensor/cuda_test_support.hpp"

#include <catch2/catch.hpp>

using namespace microtome;
using namespace microtome::kernels;
using namespace microtome::testing;

TEMPLATE_TEST_CASE("products of matrices have the CPU's bits", "[cuda][kernels]", float, double) {
    EmulatedDevice device;
    auto check = [](const MatmulShape& s, const Shape& a, const Shape& b, const Shape& c, bool accumulate) {
        return same_on_both(
            {random_tensor<TestType>(a, 17), random_tensor<TestType>(b, 18)},
            {random_tensor<TestType>(c, 19)},
            [&](const Tensors& in, Tensors& out, KernelContext& context) {
                matmul(s, in[0], in[1], out[0], context, accumulate);
            },
            matmul_workspace<TestType>(s));
    };
    struct Case {
        int64_t m, n, k, batch;
    };
    for (const Case& c : {Case{1, 1, 1, 1}, Case{3, 5, 7, 2}, Case{33, 40, 19, 1}, Case{64, 64, 16, 2},
                          Case{65, 63, 257, 1}, Case{130, 17, 31, 1}, Case{2, 3, 0, 2}, Case{0, 3, 2, 1},
                          Case{5, 3, 4097, 1}, Case{33, 34, 8200, 1}, Case{32, 32, 256, 3}})
        for (int transposed = 0; transposed < 4; ++transposed)
            for (bool accumulate : {false, true}) {
                const bool a = transposed & 1, b = transposed & 2;
                if (c.k > 1000 && (transposed == 1 || transposed == 2)) continue;
                if (!check(MatmulShape::dense(c.m, c.n, c.k, a, b, c.batch), {c.batch * c.m * c.k},
                           {c.batch * c.k * c.n}, {c.batch * c.m * c.n}, accumulate))
                    FAIL(c.m << "x" << c.n << "x" << c.k << " transposed " << transposed);
            }
    // The heads of packed queries, keys and values, and a result that is transposed.
    const int64_t n = 2, t = 17, h = 3, d = 5;
    const MatrixLayout wide{3 * h * d, false, t * 3 * h * d, d}, scores{t, false, h * t * t, t * t};
    CHECK(check({n, h, t, t, d, wide, {3 * h * d, true, t * 3 * h * d, d}, scores}, {n * t * 3 * h * d},
                {n * t * 3 * h * d}, {n * h * t * t}, false));
    CHECK(check({n, h, t, t, d, wide, {3 * h * d, true, t * 3 * h * d, d}, {t, true, h * t * t, t * t}},
                {n * t * 3 * h * d}, {n * t * 3 * h * d}, {n * h * t * t}, false));
    // One factor for the whole batch.
    CHECK(check({3, 1, 4, 6, 5, {5, false, 20, 0}, {6, false, 0, 0}, {6, false, 24, 0}}, {60}, {30}, {72},
                true));
}

TEMPLATE_TEST_CASE("convolutions have the CPU's bits", "[cuda][kernels]", float, double) {
    EmulatedDevice device;
    const Dtype dtype = dtype_of<TestType>();
    struct Case {
        Shape x, w;
        ConvOptions options;
    };
    const Case cases[] = {
        {{2, 5, 6, 3}, {4, 3, 3, 3}, {}},
        {{1, 4, 4, 1}, {1, 1, 1, 1}, {}},
        {{2, 7, 9, 4},
         {6, 3, 2, 2},
         {.stride_h = 2, .stride_w = 3, .pad_top = 1, .pad_left = 2, .groups = 2}},
        {{1, 9, 8, 3},
         {3, 3, 3, 1},
         {.stride_h = 2, .stride_w = 2, .dilation_h = 2, .pad_top = 1, .pad_bottom = 2, .groups = 3}},
        {{2, 12, 12, 16}, {32, 3, 3, 16}, {.pad_top = 1, .pad_bottom = 1, .pad_left = 1, .pad_right = 1}},
        {{1, 13, 11, 16},
         {20, 3, 3, 16},
         {.stride_h = 2, .stride_w = 2, .pad_top = 1, .pad_bottom = 1, .pad_left = 1, .pad_right = 1}},
        {{1, 6, 6, 2}, {2, 1, 1, 2}, {.stride_h = 3, .stride_w = 4}},
        {{0, 5, 5, 2}, {3, 3, 3, 2}, {}},
        {{1, 3, 3, 470}, {2, 3, 3, 470}, {.pad_top = 1, .pad_left = 1}},
        {{5, 30, 30, 1}, {2, 3, 3, 1}, {.pad_top = 1, .pad_bottom = 1, .pad_left = 1, .pad_right = 1}},
    };
    for (const Case& c : cases) {
        const ConvShape s = conv_shape(c.x, c.w, c.options);
        const Tensor x = random_tensor<TestType>(c.x, 20), w = random_tensor<TestType>(c.w, 21),
                     g = random_tensor<TestType>(s.output(), 22);
        INFO(c.x << " by " << c.w);
        CHECK(same_on_both(
            {x, w}, {unwritten(s.output(), dtype)},
            [&](const Tensors& in, Tensors& out, KernelContext& context) {
                conv2d(s, in[0], in[1], out[0], context);
            },
            conv2d_workspace<TestType>(s)));
        CHECK(same_on_both(
            {g, w}, {unwritten(s.input(), dtype)},
            [&](const Tensors& in, Tensors& out, KernelContext& context) {
                conv2d_input_gradient(s, in[0], in[1], out[0], context);
            },
            conv2d_input_gradient_workspace<TestType>(s)));
        CHECK(same_on_both(
            {x, g}, {unwritten(s.filters(), dtype)},
            [&](const Tensors& in, Tensors& out, KernelContext& context) {
                conv2d_weight_gradient(s, in[0], in[1], out[0], context);
            },
            conv2d_weight_gradient_workspace<TestType>(s)));
    }
}

TEMPLATE_TEST_CASE("maxima of windows have the CPU's bits", "[cuda][kernels]", float, double) {
    EmulatedDevice device;
    const Dtype dtype = dtype_of<TestType>();
    struct Case {
        Shape x;
        PoolOptions options;
    };
    const Case cases[] = {
        {{2, 4, 6, 3}, {}},
        {{1, 5, 7, 17}, {}},
        {{1, 6, 5, 2},
         {.kernel_h = 3, .kernel_w = 3, .pad_top = 1, .pad_bottom = 1, .pad_left = 1, .pad_right = 1}},
        {{2, 6, 6, 1}, {.kernel_h = 1, .kernel_w = 2, .stride_h = 3, .stride_w = 3}},
        {{1, 5, 5, 2}, {.kernel_h = 3, .kernel_w = 2, .stride_h = 1, .stride_w = 1}},
        {{0, 4, 4, 1}, {}}};
    for (const Case& c : cases) {
        const PoolShape s = max_pool_shape("test", c.x, c.options);
        for (bool odd : {false, true}) {
            Tensor x = odd ? awkward_tensor<TestType>(c.x, 23) : random_tensor<TestType>(c.x, 23);
            if (!odd) unary(Unary::round, x, x);  // so that many are equal
            const Tensor g = awkward_tensor<TestType>(s.output(), 24, false);
            const Tensor blank = unwritten(s.output(), dtype);
            CHECK(same_on_both({x}, {blank, unwritten(s.output(), Dtype::u8)},
                               [&](const Tensors& in, Tensors& out, KernelContext& context) {
                                   max_pool2d(s, in[0], out[0], &out[1], context);
                               }));
            CHECK(same_on_both({x}, {blank}, [&](const Tensors& in, Tensors& out, KernelContext& context) {
                max_pool2d(s, in[0], out[0], nullptr, context);
            }));
            Tensor y(blank.spec()), winner(Spec{s.output(), Dtype::u8, kCpu});
            KernelContext context;
            max_pool2d(s, x, y, &winner, context);
            CHECK(same_on_both({g, winner}, {unwritten(c.x, dtype)},
                               [&](const Tensors& in, Tensors& out, KernelContext& run) {
                                   max_unpool2d(s, in[0], in[1], out[0], run);
                               }));
            CHECK(
                same_on_both({x, winner}, {blank}, [&](const Tensors& in, Tensors& out, KernelContext& run) {
                    max_pool2d_gather(s, in[0], in[1], out[0], run);
                }));
        }
    }
}

TEMPLATE_TEST_CASE("attention has the CPU's bits", "[cuda][kernels]", float, double) {
    EmulatedDevice device;
    const Dtype dtype = dtype_of<TestType>();
    for (const Shape& shape :
         {Shape{2, 5, 3, 2, 3}, Shape{1, 1, 3, 1, 1}, Shape{2, 33, 3, 2, 16}, Shape{0, 3, 3, 1, 2}}) {
        const Tensor qkv = random_tensor<TestType>(shape, 50),
                     g = random_tensor<TestType>({shape[0], shape[1], shape[3] * shape[4]}, 51);
        const std::size_t workspace = attention_workspace(qkv.spec());
        CHECK(same_on_both(
            {qkv}, {unwritten(g.shape(), dtype)},
            [](const Tensors& in, Tensors& out, KernelContext& context) {
                attention(in[0], out[0], context);
            },
            workspace));
        CHECK(same_on_both(
            {g, qkv}, {unwritten(shape, dtype)},
            [](const Tensors& in, Tensors& out, KernelContext& context) {
                attention_input_gradient(in[0], in[1], out[0], context);
            },
            workspace));
    }
}

TEMPLATE_TEST_CASE("windows of any size have the CPU's bits", "[cuda][kernels]", float, double) {
    EmulatedDevice device;
    const Dtype dtype = dtype_of<TestType>();
    const Shape x_shape{2, 7, 5, 3};
    const PoolOptions overlapping{
        .kernel_h = 3, .kernel_w = 3, .pad_top = 1, .pad_bottom = 1, .pad_left = 1, .pad_right = 1};
    for (const PoolWindows& windows :
         {pool_windows(pool_shape("test", x_shape, {})),
          pool_windows(pool_shape("test", x_shape, overlapping)), adaptive_windows("test", x_shape, 3, 4),
          adaptive_windows("test", x_shape, 9, 1)}) {
        for (bool odd : {false, true}) {
            Tensor x = odd ? awkward_tensor<TestType>(x_shape, 52) : random_tensor<TestType>(x_shape, 52);
            if (!odd) unary(Unary::round, x, x);
            const Tensor g = random_tensor<TestType>(windows.output(), 53),
                         blank = unwritten(windows.output(), dtype);
            CHECK(same_on_both({x}, {blank}, [&](const Tensors& in, Tensors& out, KernelContext& context) {
                average_pool2d(windows, in[0], out[0], context);
            }));
            CHECK(same_on_both({g}, {unwritten(x_shape, dtype)},
                               [&](const Tensors& in, Tensors& out, KernelContext& context) {
                                   average_unpool2d(windows, in[0], out[0], context);
                               }));
            CHECK(same_on_both({x}, {blank, unwritten(windows.output(), Dtype::i64)},
                               [&](const Tensors& in, Tensors& out, KernelContext& context) {
                                   windowed_max(windows, in[0], out[0], &out[1], context);
                               }));
            CHECK(same_on_both({x}, {blank}, [&](const Tensors& in, Tensors& out, KernelContext& context) {
                windowed_max(windows, in[0], out[0], nullptr, context);
            }));
        }
    }
}
