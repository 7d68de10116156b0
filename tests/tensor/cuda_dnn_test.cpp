// Convolutions by cuDNN: on the emulated device by a stand-in for it, on a GPU by itself. Held against sums
// in f64, within what the roundings of factors, of f32 sums and of bf16 results can add up to.
#include "base/error.hpp"
#include "tensor/cuda/dnn.hpp"
#include "tensor/kernels/conv2d.hpp"
#include "tensor/kernels/conv_pool.hpp"
#include "tensor/out_of_memory.hpp"
#include "tensor/reference/conv2d.hpp"
#include "tests/tensor/cuda_test_support.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <iostream>
#include <limits>
#include <sstream>

using namespace microtome;
using namespace microtome::testing;
using cuda::ConvEpilogue;
using cuda::emulation::Libraries;

namespace {

constexpr Precision kAll[] = {Precision::f32, Precision::tf32, Precision::bf16};

// The three tensors of y = x * w, of which one is to be calculated from the others.
struct Case {
    Shape x, w;
    ConvOptions options{};
    bool by_library = true;  // forward and for the input at least

    ConvShape shape() const { return conv_shape(x, w, options); }
};

const Case kCases[] = {
    {{1, 1, 1, 1}, {1, 1, 1, 1}},
    {{2, 5, 6, 3}, {4, 3, 3, 3}},
    {{3, 7, 11, 5}, {7, 3, 2, 5}, {.pad_top = 1, .pad_bottom = 1}},
    {{2, 12, 12, 16}, {8, 3, 3, 16}, {.pad_top = 1, .pad_bottom = 1, .pad_left = 1, .pad_right = 1}},
    // strides, also beyond the filter, of sizes that they leave a remainder of
    {{1, 13, 10, 4},
     {6, 3, 3, 4},
     {.stride_h = 2, .stride_w = 2, .pad_top = 1, .pad_bottom = 1, .pad_left = 1, .pad_right = 1}},
    {{2, 9, 8, 2}, {3, 1, 1, 2}, {.stride_h = 3, .stride_w = 4}},
    {{1, 11, 7, 3}, {2, 2, 3, 3}, {.stride_h = 5, .stride_w = 1, .pad_left = 2, .pad_right = 2}},
    // dilation, and groups: some, and as many as channels
    {{1, 9, 8, 3}, {3, 3, 3, 3}, {.dilation_h = 2, .dilation_w = 3, .pad_top = 2, .pad_bottom = 2}},
    {{2, 7, 9, 4}, {6, 3, 2, 2}, {.stride_w = 2, .groups = 2}},
    {{2, 8, 8, 5}, {5, 3, 3, 1}, {.pad_top = 1, .pad_bottom = 1, .pad_left = 1, .pad_right = 1, .groups = 5}},
    {{1, 6, 5, 3}, {6, 2, 2, 1}, {.dilation_h = 2, .groups = 3}},
    // padding that differs, and makes no difference because no filter reaches the last row
    {{1, 8, 8, 3}, {4, 3, 3, 3}, {.stride_h = 2, .stride_w = 2, .pad_top = 1, .pad_left = 1}},
    // padding that differs
    {{1, 8, 8, 3}, {4, 3, 3, 3}, {.pad_top = 1, .pad_left = 1}, false},
    {{2, 5, 5, 2}, {3, 2, 2, 2}, {.pad_bottom = 1, .pad_right = 1}, false},
    // nothing to do
    {{0, 5, 5, 2}, {3, 3, 3, 2}, {}, false},
};
// What the stand-in refuses, at once and when it is run.
const Case kRefused[] = {
    {{1, 14, 5, 2}, {3, 3, 3, 2}, {.dilation_h = 4}, false},
    {{1, 9, 5, 2}, {3, 5, 3, 2}, {}, false},
};

Tensor absolute(const Tensor& x) {
    Tensor y = x.clone();
    for (float& v : y.mutable_data<float>()) v = std::abs(v);
    return y;
}
std::vector<double> doubles(const Tensor& x) {
    const auto values = x.data<float>();
    return {values.begin(), values.end()};
}

enum class Kind { forward, input_gradient, weight_gradient };
constexpr Kind kKinds[] = {Kind::forward, Kind::input_gradient, Kind::weight_gradient};

// The kind's first and second factor among x, w and the response, and its result's shape.
struct Factors {
    Tensor a, b;
    Shape result;
};
Factors factors_of(Kind kind, const ConvShape& s) {
    const Tensor x = random_tensor<float>(s.input(), 1), w = random_tensor<float>(s.filters(), 2),
                 g = random_tensor<float>(s.output(), 3);
    if (kind == Kind::forward) return {x, w, s.output()};
    if (kind == Kind::input_gradient) return {g, w, s.input()};
    return {x, g, s.filters()};
}

std::vector<double> reference(Kind kind, const ConvShape& s, const Tensor& a, const Tensor& b) {
    const std::vector<double> left = doubles(a), right = doubles(b);
    std::vector<double> result(static_cast<std::size_t>(kind == Kind::forward ? s.output().elements()
                                                        : kind == Kind::input_gradient
                                                            ? s.input().elements()
                                                            : s.filters().elements()));
    if (kind == Kind::forward)
        reference::conv2d(s, left.data(), right.data(), result.data(), Epilogue<double>());
    else if (kind == Kind::input_gradient)
        reference::conv2d_input_gradient(s, left.data(), right.data(), result.data());
    else
        reference::conv2d_weight_gradient(s, left.data(), right.data(), result.data());
    return result;
}

// Whether the device's result is right. The size of a sum is that of its terms without their signs. A library
// may cut off what tf32 has no room for, which errs by twice as much as rounding.
bool is_right(Kind kind, const ConvShape& s, const Factors& f, const Tensor& actual, Precision precision,
              const ConvEpilogue& epilogue = {}) {
    const std::vector<double> sums = reference(kind, s, f.a, f.b),
                              sizes = reference(kind, s, absolute(f.a), absolute(f.b));
    const double u = rounding_error(precision) * (precision == Precision::tf32 ? 2 : 1);
    const int64_t terms = kind == Kind::forward          ? s.kh * s.kw * s.group_c()
                          : kind == Kind::input_gradient ? s.kh * s.kw * s.group_o()
                                                         : s.n * s.oh * s.ow;
    const auto values = actual.data<float>();
    for (std::size_t i = 0; i < sums.size(); ++i) {
        double expected = sums[i], size = sizes[i], bound = (2 * u + u * u) * size;
        if (precision == Precision::bf16) bound += u * (1 + 3 * u) * size;
        auto add = [&](double x) {
            expected += x;
            size += std::abs(x);
        };
        if (epilogue.residual.defined()) add(epilogue.residual.data<float>()[i]);
        if (epilogue.bias.defined()) add(epilogue.bias.data<float>()[i % static_cast<std::size_t>(s.o)]);
        if (epilogue.relu) expected = std::max(expected, 0.0);
        bound += static_cast<double>(terms + 4) * 0x1p-23 * size;
        if (!(std::abs(static_cast<double>(values[i]) - expected) <= bound)) return false;
    }
    return true;
}

// Convolutions given to the library since this was made: a GPU's is one for the whole process.
class Calls {
  public:
    explicit Calls(const Libraries& libraries) : dnn_(libraries.dnn()), before_(dnn_.calls()) {}
    int64_t count() const { return dnn_.calls() - before_; }

  private:
    const cuda::Dnn& dnn_;
    int64_t before_;
};

Tensor there(const Tensor& x) {
    return x.defined() ? x.to(kCuda) : Tensor();
}

Tensor convolve(Kind kind, const ConvShape& s, const Tensor& a, const Tensor& b, const Shape& shape,
                const ConvEpilogue& epilogue = {}) {
    Tensor y = unwritten(shape, Dtype::f32).to(kCuda);
    if (kind == Kind::forward)
        cuda::conv2d(s, a, b, y, {there(epilogue.bias), there(epilogue.residual), epilogue.relu});
    else if (kind == Kind::input_gradient)
        cuda::conv2d_input_gradient(s, a, b, y);
    else
        cuda::conv2d_weight_gradient(s, a, b, y);
    return y.to(kCpu);
}

// Right, and whether the library did it.
bool right_by_library(const Libraries& libraries, Kind kind, const ConvShape& s, Precision precision,
                      const ConvEpilogue& epilogue = {}) {
    const ProductModeScope scope({precision, true});
    const Factors f = factors_of(kind, s);
    const Calls calls(libraries);
    const int overruns = EmulatedDevice::overruns();
    INFO(s.input() << " by " << s.filters() << ", kind " << static_cast<int>(kind) << ", " << precision);
    CHECK(is_right(kind, s, f, convolve(kind, s, there(f.a), there(f.b), f.result, epilogue), precision,
                   epilogue));
    CHECK(EmulatedDevice::overruns() == overruns);
    return calls.count() == 1;
}

// The device is the emulated one.
bool emulated() {
    return cuda::backend()->device_name(0) == "an emulated device";
}

}  // namespace

TEST_CASE("convolutions by the library are right", "[cuda][dnn]") {
    EmulatedDevice device;
    {
        const Libraries libraries;
        for (const Case& c : kCases)
            for (Kind kind : kKinds)
                for (Precision precision : kAll) {
                    INFO(c.x << " by " << c.w << ", kind " << static_cast<int>(kind) << ", " << precision);
                    const bool by_library = right_by_library(libraries, kind, c.shape(), precision);
                    if (emulated() || !c.by_library) CHECK(by_library == c.by_library);
                }
        for (const Case& c : kRefused)
            for (Kind kind : kKinds) {
                const bool by_library = right_by_library(libraries, kind, c.shape(), Precision::f32);
                if (emulated()) CHECK_FALSE(by_library);
                right_by_library(libraries, kind, c.shape(), Precision::bf16);
            }
    }
    if (emulated()) CHECK(Libraries::descriptors_alive() == 0);
}

TEST_CASE("what follows a convolution is the library's, too", "[cuda][dnn]") {
    EmulatedDevice device;
    const Libraries libraries;
    for (const Case& c : {kCases[0], kCases[3], kCases[4], kCases[9], kCases[12], kRefused[1]})
        for (Precision precision : kAll)
            for (int parts = 0; parts < 8; ++parts) {
                const ConvShape s = c.shape();
                ConvEpilogue epilogue;
                if (parts & 1) epilogue.bias = random_tensor<float>({s.o}, 4);
                if (parts & 2) epilogue.residual = random_tensor<float>(s.output(), 5);
                epilogue.relu = parts & 4;
                const bool by_library = right_by_library(libraries, Kind::forward, s, precision, epilogue);
                if (emulated()) CHECK(by_library == c.by_library);
            }
}

TEST_CASE("a NaN stays one behind the library's ReLU", "[cuda][dnn]") {
    EmulatedDevice device;
    const Libraries libraries;
    const Calls calls(libraries);
    const ConvShape s = conv_shape({1, 4, 4, 3}, {5, 1, 1, 3}, {});
    Tensor x = random_tensor<float>(s.input(), 1);
    x.mutable_data<float>()[7] = std::numeric_limits<float>::quiet_NaN();  // of pixel 2
    for (Precision precision : kAll) {
        const ProductModeScope scope({precision, true});
        const Tensor y =
            convolve(Kind::forward, s, x.to(kCuda), random_tensor<float>(s.filters(), 2).to(kCuda),
                     s.output(), {.bias = random_tensor<float>({5}, 4), .relu = true});
        for (std::size_t i = 0; i < 80; ++i) CHECK(std::isnan(y.data<float>()[i]) == (i / 5 == 2));
    }
    CHECK(calls.count() == 3);
}

TEST_CASE("the library is told how tensors are aligned", "[cuda][dnn]") {
    EmulatedDevice device;
    const Libraries libraries;
    const Calls calls(libraries);
    const ConvShape s = conv_shape({2, 5, 5, 3}, {4, 3, 3, 3}, {});
    for (Kind kind : kKinds)
        for (Precision precision : kAll)
            for (int64_t skipped = 0; skipped < 4; ++skipped) {
                const ProductModeScope scope({precision, true});
                const Factors f = factors_of(kind, s);
                Tensor memory(Spec{{f.a.elements() + skipped}, Dtype::f32, kCpu});
                std::copy_n(f.a.data<float>().data(), f.a.elements(),
                            memory.mutable_data<float>().data() + skipped);
                const Tensor a = memory.to(kCuda).view(f.a.shape(), skipped);
                CHECK(is_right(kind, s, f, convolve(kind, s, a, f.b.to(kCuda), f.result), precision));
            }
    CHECK(calls.count() == 36);
}

TEST_CASE("convolutions by the library have the same bits in every run", "[cuda][dnn]") {
    EmulatedDevice device;
    for (Precision precision : kAll)
        for (const Case& c : {kCases[3], kCases[4], kCases[8], kCases[9]})
            for (Kind kind : kKinds) {
                const ProductModeScope scope({precision, true});
                const ConvShape s = c.shape();
                const Factors f = factors_of(kind, s);
                Tensor first;
                for (int start = 0; start < 2; ++start) {
                    const Libraries libraries;  // anew, with nothing remembered
                    const Calls calls(libraries);
                    const ProductModeScope again({precision, true});
                    for (int repeat = 0; repeat < 2; ++repeat) {
                        const Tensor y = convolve(kind, s, there(f.a), there(f.b), f.result);
                        if (!first.defined()) first = y;
                        CHECK(agree(y, first));
                    }
                    CHECK(calls.count() == 2);
                }
            }
}

TEST_CASE("runs that want the CPU's bits do without the library, and f64 does", "[cuda][dnn]") {
    EmulatedDevice device;
    const Libraries libraries;
    const Calls calls(libraries);
    const ConvShape s = kCases[4].shape();
    auto forward = [&](const Tensors& in, Tensors& out, KernelContext& context) {
        kernels::conv2d(s, in[0], in[1], out[0], context);
    };
    CHECK(same_on_both({random_tensor<double>(s.input(), 1), random_tensor<double>(s.filters(), 2)},
                       {unwritten(s.output(), Dtype::f64)}, forward, kernels::conv2d_workspace<double>(s)));
    const ProductModeScope exact({.libraries = false});
    CHECK(same_on_both({random_tensor<float>(s.input(), 1), random_tensor<float>(s.filters(), 2)},
                       {unwritten(s.output(), Dtype::f32)}, forward, kernels::conv2d_workspace<float>(s)));
    CHECK(calls.count() == 0);

    // Others do not.
    const ProductModeScope fast({.libraries = true});
    const KernelContext context;
    Tensor x = random_tensor<float>(s.input(), 1).to(kCuda),
           w = random_tensor<float>(s.filters(), 2).to(kCuda), y(Spec{s.output(), Dtype::f32, kCuda});
    kernels::conv2d(s, x, w, y, context);
    kernels::conv2d_input_gradient(s, y, w, x, context);
    kernels::conv2d_weight_gradient(s, x, y, w, context);
    CHECK(calls.count() == 3);
}

TEST_CASE("convolutions behind a pooling are the library's, too", "[cuda][dnn]") {
    EmulatedDevice device;
    const Libraries libraries;
    const Calls calls(libraries);
    const ConvShape s = conv_shape({2, 6, 8, 3}, {4, 3, 3, 3}, kCases[3].options);
    const Tensor x = random_tensor<float>(s.input(), 1).to(kCuda),
                 w = random_tensor<float>(s.filters(), 2).to(kCuda),
                 bias = random_tensor<float>({4}, 3).to(kCuda),
                 g = random_tensor<float>({2, 3, 4, 4}, 4).to(kCuda);
    auto results = [&] {
        const KernelContext context;
        Tensor y(g.spec()), gate(Spec{g.shape(), Dtype::u8, kCuda}), dx(x.spec()), dw(w.spec()),
            dbias(bias.spec());
        kernels::conv_pool(s, x, w, bias, y, &gate, context);
        kernels::conv_pool_input_gradient(s, g, gate, w, dx, context);
        kernels::conv_pool_weight_gradient(s, x, g, gate, dw, dbias, context);
        return to({y, dx, dw, dbias}, kCpu);
    };
    const Tensors actual = results();
    CHECK(calls.count() == 3);
    const ProductModeScope exact({.libraries = false});
    const Tensors expected = results();
    for (std::size_t k = 0; k < 4; ++k) {
        const auto a = doubles(actual[k]), e = doubles(expected[k]);
        for (std::size_t i = 0; i < a.size(); ++i) CHECK(a[i] == Approx(e[i]).margin(1e-5));
    }
}

TEST_CASE("without cuDNN convolutions are plain, which is said", "[cuda][dnn]") {
    std::ostringstream said;
    std::streambuf* log = std::clog.rdbuf(said.rdbuf());
    const std::vector<std::string> nowhere{"libcudnn.so.of-no-version"}, another{"libc.so.6"};
    const auto none = cuda::Dnn::open(nowhere), wrong = cuda::Dnn::open(another);
    std::clog.rdbuf(log);
    CHECK(none == nullptr);
    CHECK(wrong == nullptr);
    CHECK(said.str().find("libcudnn.so.of-no-version is not found") != std::string::npos);
    CHECK(said.str().find("libc.so.6 has no cudnnGetVersion") != std::string::npos);

    // And a refusal, once.
    EmulatedDevice device;
    if (!emulated()) return;
    const Libraries libraries;
    said.str("");
    log = std::clog.rdbuf(said.rdbuf());
    for (const Case& c : kRefused)
        for (int repeat = 0; repeat < 2; ++repeat)
            right_by_library(libraries, Kind::forward, c.shape(), Precision::f32);
    std::clog.rdbuf(log);
    CHECK(said.str() ==
          "microtome: some convolutions run without cuDNN, which is slower: it has no allowed way for one of "
          "1 images of 14x5x2\n");
}

TEST_CASE("too little memory for cuDNN's workspace is said as ever", "[cuda][dnn]") {
    EmulatedDevice device(1 << 20);
    const Libraries libraries;
    const Calls calls(libraries);
    const ConvShape s = kCases[3].shape();
    const Tensor x = random_tensor<float>(s.input(), 1).to(kCuda),
                 w = random_tensor<float>(s.filters(), 2).to(kCuda);
    Tensor y(Spec{s.output(), Dtype::f32, kCuda});
    EmulatedDevice::limit_memory(static_cast<std::size_t>(x.elements() + w.elements() + y.elements()) * 4 +
                                 300);
    CHECK_THROWS_AS(cuda::conv2d(s, x, w, y), OutOfMemoryError);
    EmulatedDevice::limit_memory(1 << 20);
    cuda::conv2d(s, x, w, y);
    CHECK(is_right(Kind::forward, s, factors_of(Kind::forward, s), y.to(kCpu), Precision::f32));
    CHECK(calls.count() == 1);
}
