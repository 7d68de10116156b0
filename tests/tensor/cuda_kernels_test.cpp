// The CUDA kernels, run by the emulated device, against those of the CPU: the same bits for all of them, on
// shapes with no elements, with one, with primes, and around the edges of warps, blocks and chunks.
#include "tensor/cuda/backend.hpp"
#include "tensor/kernels/elementwise.hpp"
#include "tensor/kernels/normalization.hpp"
#include "tensor/kernels/norms.hpp"
#include "tensor/kernels/reduce.hpp"
#include "tensor/kernels/rows.hpp"
#include "tensor/kernels/updates.hpp"
#include "tensor/random.hpp"
#include "tests/tensor/cuda_test_support.hpp"

#include <catch2/catch.hpp>
#include <cstring>
#include <limits>

using namespace microtome;
using namespace microtome::kernels;
using namespace microtome::testing;

namespace {

// Two blocks of 256 threads, a warp's edge and one past the device's four blocks are among them.
constexpr int64_t kSizes[] = {0, 1, 7, 8, 9, 31, 32, 33, 255, 257, 1031};

template <class T>
Tensor positive(const Shape& shape, uint64_t seed) {
    Tensor x = random_tensor<T>(shape, seed);
    for (T& value : x.mutable_data<T>()) value = math::abs(value) + T(0.1);
    return x;
}

}  // namespace

TEMPLATE_TEST_CASE("element-wise kernels have the CPU's bits", "[cuda][kernels]", float, double) {
    EmulatedDevice device;
    const Dtype dtype = dtype_of<TestType>();
    for (int64_t n : kSizes) {
        const Tensor x = awkward_tensor<TestType>({n}, 1), a = awkward_tensor<TestType>({n}, 2);
        for (int f = 0; f <= static_cast<int>(Unary::gelu_tanh_derivative); ++f)
            if (!same_on_both({x}, {unwritten({n}, dtype)},
                              [=](const Tensors& in, Tensors& out, KernelContext& context) {
                                  unary(static_cast<Unary>(f), in[0], out[0], context);
                              }))
                FAIL("unary " << f << " of " << n);
        for (int f = 0; f <= static_cast<int>(Binary::greater_equal); ++f)
            if (!same_on_both({x, a}, {unwritten({n}, dtype)},
                              [=](const Tensors& in, Tensors& out, KernelContext& context) {
                                  binary(static_cast<Binary>(f), in[0], in[1], out[0], context);
                              }))
                FAIL("binary " << f << " of " << n);
    }
    const Shape y{2, 3, 5, 7};
    const Shape shapes[] = {{2, 3, 5, 7}, {7}, {}, {5, 1}, {3, 1, 1}, {2, 1, 5, 1}, {1, 3, 5, 7}};
    for (const Shape& a : shapes)
        for (const Shape& b : shapes) {
            const Tensors inputs = {random_tensor<TestType>(a, 3), random_tensor<TestType>(b, 4),
                                    random_tensor<TestType>({5, 7}, 5)};
            CHECK(same_on_both(inputs, {unwritten(y, dtype)},
                               [](const Tensors& in, Tensors& out, KernelContext& context) {
                                   binary(Binary::subtract, in[0], in[1], out[0], context);
                               }));
            for (Ternary f : {Ternary::where, Ternary::clamp, Ternary::multiply_add})
                CHECK(same_on_both(inputs, {unwritten(y, dtype)},
                                   [=](const Tensors& in, Tensors& out, KernelContext& context) {
                                       ternary(f, in[0], in[1], in[2], out[0], context);
                                   }));
        }
    for (const Shape& a : shapes)
        CHECK(same_on_both({random_tensor<TestType>(a, 6)}, {unwritten(y, dtype)},
                           [](const Tensors& in, Tensors& out, KernelContext& context) {
                               broadcast_to(in[0], out[0], context);
                           }));
}

TEMPLATE_TEST_CASE("gates pack the CPU's bits", "[cuda][kernels]", float, double) {
    EmulatedDevice device;
    const Dtype dtype = dtype_of<TestType>();
    for (int64_t n : kSizes) {
        const Tensor x = awkward_tensor<TestType>({n}, 7);
        const Tensors outputs = {unwritten({n}, dtype), unwritten({(n + 7) / 8}, Dtype::u8)};
        CHECK(same_on_both({x}, outputs, [](const Tensors& in, Tensors& out, KernelContext& context) {
            relu_gate(in[0], out[0], out[1], context);
        }));
        CHECK(same_on_both({x}, outputs, [](const Tensors& in, Tensors& out, KernelContext& context) {
            range_gate(in[0], -1, 1.5, out[0], out[1], context);
        }));
        Tensor y(x.spec()), gate(outputs[1].spec());
        relu_gate(x, y, gate);
        CHECK(same_on_both({x, gate}, {outputs[0]},
                           [](const Tensors& in, Tensors& out, KernelContext& context) {
                               apply_gate(in[0], in[1], out[0], context);
                           }));
    }
}

TEST_CASE("types convert as on the CPU", "[cuda][kernels]") {
    EmulatedDevice device;
    const Dtype types[] = {Dtype::f32, Dtype::f64, Dtype::bf16, Dtype::u8, Dtype::i64};
    const Tensor values = Tensor::of(
        {0.0, -0.0, 1.5, -2.5, 254.9, 255.5, 300.0, -1e30, 1e30, 1e300, -7.0, 9.3e18, 3.14159265358979,
         std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(), 1e-40},
        {16});
    for (Dtype from : types) {
        Tensor x(Spec{{16}, from, kCpu});
        convert(values, x);
        for (Dtype to : types)
            CHECK(same_on_both({x}, {unwritten({16}, to)},
                               [](const Tensors& in, Tensors& out, KernelContext& context) {
                                   convert(in[0], out[0], context);
                               }));
    }
}

TEMPLATE_TEST_CASE("reductions have the CPU's bits", "[cuda][kernels]", float, double) {
    EmulatedDevice device;
    const Dtype dtype = dtype_of<TestType>();
    const Reduction reductions[] = {Reduction::sum, Reduction::max, Reduction::min, Reduction::sum_of_squares,
                                    Reduction::sum_of_absolutes};
    struct Case {
        Shape x;
        AxisMask axes;
        Shape y;
    };
    const Case cases[] = {{{5}, 1, {}},
                          {{3, 17}, 2, {3}},
                          {{17, 3}, 1, {3}},
                          {{33, 5}, 2, {33}},
                          {{2, 3, 5, 4}, 5, {3, 4}},
                          {{2, 3, 5, 4}, 10, {2, 5}},
                          {{1, 1}, 3, {}},
                          {{0, 3}, 2, {0}},
                          {{40, 33}, 1, {33}},
                          {{2, 9, 35}, 2, {2, 35}},
                          {{7, 2}, 0, {7, 2}},
                          {{2, 4096}, 2, {2}},
                          {{2, 4097}, 2, {2}},
                          {{8200, 3}, 1, {3}},
                          {{3, 4099, 2}, 5, {4099}},
                          {{4100, 2, 3}, 5, {2}}};
    for (const Case& c : cases)
        for (Reduction f : reductions)
            if (!same_on_both({awkward_tensor<TestType>(c.x, 8, c.x.elements() < 100)},
                              {unwritten(c.y, dtype)},
                              [&](const Tensors& in, Tensors& out, KernelContext& context) {
                                  reduce(f, in[0], c.axes, out[0], context);
                              }))
                FAIL(c.x << " over " << c.axes);
    CHECK(same_on_both({Tensor::zeros({0, 3}, dtype)}, {unwritten({3}, dtype)},
                       [](const Tensors& in, Tensors& out, KernelContext& context) {
                           reduce(Reduction::sum, in[0], 1, out[0], context);
                       }));
    CHECK(same_on_both(
        {random_tensor<TestType>({4, 3, 5}, 9)}, {unwritten({3, 1}, dtype)},
        [](const Tensors& in, Tensors& out, KernelContext& context) { sum_to(in[0], out[0], context); }));
    Tensor y = Tensor::zeros({3}, dtype, kCuda);
    CHECK_THROWS_AS(reduce(Reduction::max, Tensor::zeros({0, 3}, dtype, kCuda), 1, y), ShapeError);
    for (int axis : {0, 1, 2})
        for (bool nan : {false, true}) {
            const Shape rest = Shape{3, 5, 4}.without(axis);
            CHECK(same_on_both({awkward_tensor<TestType>({3, 5, 4}, 10, nan)},
                               {unwritten(rest, dtype), unwritten(rest, Dtype::i64)},
                               [=](const Tensors& in, Tensors& out, KernelContext& context) {
                                   arg_max(in[0], axis, out[0], out[1], context);
                               }));
            CHECK(same_on_both({awkward_tensor<TestType>({3, 5, 4}, 10, nan)},
                               {unwritten(rest, dtype), unwritten(rest, Dtype::i64)},
                               [=](const Tensors& in, Tensors& out, KernelContext& context) {
                                   arg_min(in[0], axis, out[0], out[1], context);
                               }));
        }
}

TEMPLATE_TEST_CASE("softmax and normalisation have the CPU's bits", "[cuda][kernels]", float, double) {
    EmulatedDevice device;
    const Dtype dtype = dtype_of<TestType>();
    for (const Shape& shape : {Shape{1, 1}, Shape{3, 5}, Shape{17, 16}, Shape{70, 3}, Shape{2, 2, 33},
                               Shape{2, 4100}, Shape{0, 3}}) {
        const int64_t n = shape[-1], rows = shape.elements() / n;
        const Tensor x = random_tensor<TestType>(shape, 11), g = random_tensor<TestType>(shape, 12),
                     blank = unwritten(shape, dtype);
        const Tensor row_blank = unwritten({rows}, dtype);
        CHECK(same_on_both({x}, {blank}, [](const Tensors& in, Tensors& out, KernelContext& context) {
            softmax(in[0], out[0], context);
        }));
        CHECK(same_on_both({}, {x}, [](const Tensors&, Tensors& out, KernelContext& context) {
            softmax(out[0], out[0], context);
        }));
        CHECK(same_on_both({x}, {blank}, [](const Tensors& in, Tensors& out, KernelContext& context) {
            log_softmax(in[0], out[0], context);
        }));
        CHECK(same_on_both({x}, {row_blank}, [](const Tensors& in, Tensors& out, KernelContext& context) {
            logsumexp(in[0], out[0], context);
        }));
        CHECK(same_on_both({g, x}, {blank}, [](const Tensors& in, Tensors& out, KernelContext& context) {
            softmax_input_gradient(in[0], in[1], out[0], context);
        }));
        CHECK(same_on_both({x}, {g}, [](const Tensors& in, Tensors& out, KernelContext& context) {
            softmax_input_gradient(out[0], in[0], out[0], context);
        }));
        CHECK(same_on_both({g, x}, {blank}, [](const Tensors& in, Tensors& out, KernelContext& context) {
            log_softmax_input_gradient(in[0], in[1], out[0], context);
        }));
        const Tensor scale = random_tensor<TestType>({n}, 13), shift = random_tensor<TestType>({n}, 14);
        for (int given = 0; given < 4; ++given) {
            auto some = [=](const Tensors& in, int which, std::size_t i) {
                return (given & which) != 0 ? in[i] : Tensor();
            };
            CHECK(same_on_both({x, scale, shift}, {blank, row_blank, row_blank},
                               [=](const Tensors& in, Tensors& out, KernelContext& context) {
                                   layer_norm(in[0], some(in, 1, 1), some(in, 2, 2), 1e-5, out[0], out[1],
                                              out[2], context);
                               }));
        }
        const Tensor mean = random_tensor<TestType>({rows}, 15), rstd = random_tensor<TestType>({rows}, 16);
        for (bool scaled : {false, true})
            CHECK(same_on_both({g, x, mean, rstd, scale}, {blank},
                               [=](const Tensors& in, Tensors& out, KernelContext& context) {
                                   layer_norm_input_gradient(in[0], in[1], in[2], in[3],
                                                             scaled ? in[4] : Tensor(), out[0], context);
                               }));
        if (rows == 0) continue;
        CHECK(same_on_both({x}, {unwritten({n}, dtype), unwritten({n}, dtype)},
                           [](const Tensors& in, Tensors& out, KernelContext& context) {
                               channel_statistics(in[0], out[0], out[1], context);
                           }));
        CHECK(same_on_both({x, scale, shift}, {blank},
                           [](const Tensors& in, Tensors& out, KernelContext& context) {
                               scale_shift(in[0], in[1], in[2], out[0], context);
                           }));
    }
}

TEMPLATE_TEST_CASE("random numbers are the CPU's", "[cuda][kernels]", float, double) {
    EmulatedDevice device;
    const RandomKey key{.seed = 3, .purpose = purpose_of("test"), .sample = 5, .restart = 7, .step = 11};
    for (int64_t n : {0, 1, 2, 3, 4, 5, 1027, 5003}) {
        const Tensor blank = unwritten({n}, dtype_of<TestType>());
        CHECK(same_on_both({}, {blank}, [&](const Tensors&, Tensors& out, KernelContext& context) {
            fill_uniform(key, out[0], 0, 1, context);
        }));
        CHECK(same_on_both({}, {blank}, [&](const Tensors&, Tensors& out, KernelContext& context) {
            fill_uniform(key, out[0], -0.1, 0.3, context);
        }));
        CHECK(same_on_both({}, {blank}, [&](const Tensors&, Tensors& out, KernelContext& context) {
            fill_uniform(key, out[0], 0, 0.7, context);
        }));
        CHECK(same_on_both({}, {blank}, [&](const Tensors&, Tensors& out, KernelContext& context) {
            fill_normal(key, out[0], context);
        }));
        CHECK(same_on_both({}, {blank}, [&](const Tensors&, Tensors& out, KernelContext& context) {
            fill_signs(key, out[0], context);
        }));
    }
    const Tensor name = Tensor::of<int64_t>({3, -5, 2, 9}, {4}),
                 ids = Tensor::of<int64_t>({7, 0, -1, 7, 123456789012}, {5});
    for (int64_t elements : {0, 1, 3, 8, 333})
        CHECK(same_on_both({name, ids}, {unwritten({(5 * elements + 7) / 8}, Dtype::u8)},
                           [&](const Tensors& in, Tensors& out, KernelContext& context) {
                               fill_gate(in[0], in[1], elements, 0.3, out[0], context);
                           }));
}

TEMPLATE_TEST_CASE("steps of optimizers and attacks have the CPU's bits", "[cuda][kernels]", float, double) {
    EmulatedDevice device;
    for (int64_t n : kSizes) {
        const Tensor g = random_tensor<TestType>({n}, 25), p = random_tensor<TestType>({n}, 26),
                     m = random_tensor<TestType>({n}, 27), v = positive<TestType>({n}, 28);
        CHECK(same_on_both({g}, {p, m, v}, [](const Tensors& in, Tensors& out, KernelContext& context) {
            adam_step({.weight_decay = 0.1}, 3, in[0], out[0], out[1], out[2], context);
        }));
        CHECK(same_on_both({g}, {p}, [](const Tensors& in, Tensors& out, KernelContext& context) {
            sgd_step({.weight_decay = 0.1}, 2, in[0], out[0], nullptr, context);
        }));
        for (Convention convention : {Convention::pytorch, Convention::keras})
            CHECK(same_on_both({g}, {p, m}, [=](const Tensors& in, Tensors& out, KernelContext& context) {
                sgd_step({.momentum = 0.9, .weight_decay = 0.1, .nesterov = true, .convention = convention},
                         2, in[0], out[0], &out[1], context);
            }));
        CHECK(same_on_both({g}, {p}, [](const Tensors& in, Tensors& out, KernelContext& context) {
            ema_step(0.9, in[0], out[0], context);
        }));
        const ImageBounds bounds{.epsilon = 0.3};
        CHECK(same_on_both({g, m}, {p}, [=](const Tensors& in, Tensors& out, KernelContext& context) {
            pgd_linf_step(0.1, bounds, in[0], in[1], out[0], context);
        }));
        CHECK(same_on_both({m}, {p}, [=](const Tensors& in, Tensors& out, KernelContext& context) {
            project_linf(bounds, in[0], out[0], context);
        }));
    }
    for (const Shape& shape : {Shape{1, 1}, Shape{20, 7}, Shape{2, 4099}, Shape{0, 3}, Shape{3, 0}}) {
        Tensor g = random_tensor<TestType>(shape, 29);
        const Tensor x0 = positive<TestType>(shape, 30), x = positive<TestType>(shape, 31);
        if (shape[0] == 20)
            std::fill_n(g.mutable_data<TestType>().data(), 7, TestType(0));  // an image without a gradient
        for (double epsilon : {0.0, 0.5, 1e3})
            CHECK(same_on_both({g, x0}, {x}, [=](const Tensors& in, Tensors& out, KernelContext& context) {
                pgd_l2_step(0.3, {.epsilon = epsilon}, in[0], in[1], out[0], context);
                project_l2({.epsilon = epsilon / 2}, in[1], out[0], context);
            }));
    }
}

TEMPLATE_TEST_CASE("batch normalisation and norms have the CPU's bits", "[cuda][kernels]", float, double) {
    EmulatedDevice device;
    const Dtype dtype = dtype_of<TestType>();
    for (const Shape& shape : {Shape{1, 1}, Shape{37, 5}, Shape{2, 3, 5, 33}, Shape{4100, 2}}) {
        const Shape channels{shape[-1]};
        const Tensor x = random_tensor<TestType>(shape, 40), g = random_tensor<TestType>(shape, 41),
                     gamma = random_tensor<TestType>(channels, 42),
                     beta = random_tensor<TestType>(channels, 43),
                     mean = random_tensor<TestType>(channels, 44),
                     variance = positive<TestType>(channels, 45);
        const Tensor blank = unwritten(shape, dtype), per_channel = unwritten(channels, dtype);
        CHECK(same_on_both({x, gamma, beta}, {blank, per_channel, per_channel},
                           [](const Tensors& in, Tensors& out, KernelContext& context) {
                               batch_norm(in[0], in[1], in[2], 1e-3, out[0], out[1], out[2], context);
                           }));
        CHECK(same_on_both({g, x, gamma, mean, variance}, {blank, per_channel, per_channel},
                           [](const Tensors& in, Tensors& out, KernelContext& context) {
                               batch_norm_gradient(in[0], in[1], in[2], in[3], in[4], 1e-3, out[0], out[1],
                                                   out[2], context);
                           }));
    }
    for (double scale : {1.0, 1e-30, 1e-170, 1e30, 1e170}) {
        Tensor x = random_tensor<TestType>({20, 37}, 46, scale);
        std::fill_n(x.mutable_data<TestType>().data(), 37, TestType(0));
        CHECK(same_on_both({x}, {unwritten({20}, dtype)},
                           [](const Tensors& in, Tensors& out, KernelContext& context) {
                               norm_l2(in[0], out[0], context);
                           }));
    }
    CHECK(same_on_both(
        {awkward_tensor<TestType>({5, 9}, 47)}, {unwritten({5}, dtype)},
        [](const Tensors& in, Tensors& out, KernelContext& context) { norm_l2(in[0], out[0], context); }));
    for (const Shape& empty : {Shape{3, 0}, Shape{0, 3}})
        CHECK(same_on_both({Tensor::zeros(empty, dtype)}, {unwritten({empty[0]}, dtype)},
                           [](const Tensors& in, Tensors& out, KernelContext& context) {
                               norm_l2(in[0], out[0], context);
                           }));
}

TEST_CASE("every entry of the table is filled", "[cuda][kernels]") {
    EmulatedDevice device;
    const cuda::KernelTable& table = cuda::backend()->kernels;
    using Entry = void (*)();
    constexpr std::size_t count = sizeof table / sizeof(Entry);
    Entry entries[count];
    std::memcpy(entries, static_cast<const void*>(&table), sizeof table);
    for (std::size_t i = 0; i < count; ++i) CHECK(entries[i] != nullptr);
}
