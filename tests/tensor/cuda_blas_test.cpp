// Products of matrices by cuBLASLt: on the emulated device by a stand-in for it, on a GPU by itself. Held
// against sums in f64, within what the roundings of factors and of f32 sums can add up to.
#include "autograd/gradcheck/op_function.hpp"
#include "autograd/op_list.hpp"
#include "autograd/tape.hpp"
#include "base/error.hpp"
#include "tensor/cuda/blas.hpp"
#include "tensor/kernels/attention.hpp"
#include "tensor/kernels/matmul.hpp"
#include "tensor/out_of_memory.hpp"
#include "tests/tensor/cuda_test_support.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <iostream>
#include <sstream>

using namespace microtome;
using namespace microtome::testing;
using cuda::MatmulEpilogue;
using cuda::emulation::Libraries;

namespace {

constexpr Precision kAll[] = {Precision::f32, Precision::tf32, Precision::bf16};

// How far factors may be off: the library may cut off what tf32 has no room for, which errs by twice as much
// as rounding.
double factor_error(Precision precision) {
    return precision == Precision::tf32 ? 2 * rounding_error(precision) : rounding_error(precision);
}

struct Problem {
    MatmulShape shape;
    Tensor a, b, c;  // f32, on the CPU
    MatmulEpilogue epilogue{};
};

bool is_emulated() {
    return cuda::backend()->device_name(0) == "an emulated device";
}

int64_t place(const MatrixLayout& layout, int64_t outer, int64_t inner, int64_t i, int64_t j) {
    if (layout.transposed) std::swap(i, j);
    return outer * layout.outer_stride + inner * layout.inner_stride + i * layout.leading_dimension + j;
}

// Whether the device's result is right; what lies between its matrices must be as it was.
bool is_right(const Problem& p, const Tensor& actual, Precision precision) {
    const MatmulShape& s = p.shape;
    auto at = [](const Tensor& x, int64_t i) {
        return static_cast<double>(x.data<float>()[static_cast<std::size_t>(i)]);
    };
    std::vector<char> written(p.c.data<float>().size());
    const double u = factor_error(precision), products = 2 * u + u * u;
    const double sums = static_cast<double>(s.k + 4) * 0x1p-23;
    for (int64_t outer = 0; outer < s.batch_outer; ++outer)
        for (int64_t inner = 0; inner < s.batch_inner; ++inner)
            for (int64_t i = 0; i < s.m; ++i)
                for (int64_t j = 0; j < s.n; ++j) {
                    const int64_t here = place(s.c, outer, inner, i, j);
                    double sum = 0, size = 0;
                    for (int64_t k = 0; k < s.k; ++k) {
                        const double product =
                            at(p.a, place(s.a, outer, inner, i, k)) * at(p.b, place(s.b, outer, inner, k, j));
                        sum += product;
                        size += std::abs(product);
                    }
                    double bound = products * size;
                    auto add = [&](double x) {
                        sum += x;
                        size += std::abs(x);
                    };
                    if (p.epilogue.accumulate) add(at(p.c, here));
                    if (p.epilogue.bias.defined()) add(at(p.epilogue.bias, j));
                    if (p.epilogue.residual.defined()) add(at(p.epilogue.residual, here));
                    if (p.epilogue.relu) sum = std::max(sum, 0.0);
                    bound += sums * size;
                    written[static_cast<std::size_t>(here)] = true;
                    if (!(std::abs(at(actual, here) - sum) <= bound)) return false;
                }
    for (std::size_t i = 0; i < written.size(); ++i)
        if (!written[i] && actual.data<float>()[i] != p.c.data<float>()[i]) return false;
    return true;
}

Tensor run(const Problem& p, Precision precision) {
    const ProductModeScope scope({precision, true});
    auto there = [](const Tensor& x) { return x.defined() ? x.to(kCuda) : Tensor(); };
    Tensor c = there(p.c);
    MatmulEpilogue epilogue = p.epilogue;
    epilogue.bias = there(epilogue.bias), epilogue.residual = there(epilogue.residual);
    cuda::matmul(p.shape, there(p.a), there(p.b), c, epilogue);
    return c.to(kCpu);
}

// Right in every precision, by the library.
void check(const Libraries& libraries, const Problem& p) {
    for (Precision precision : kAll) {
        const int64_t before = libraries.blas().calls();
        const int overruns = EmulatedDevice::overruns();
        INFO(p.shape.m << "x" << p.shape.n << "x" << p.shape.k << ", " << precision);
        CHECK(is_right(p, run(p, precision), precision));
        // A GPU's library may have its reasons.
        if (is_emulated()) CHECK(libraries.blas().calls() > before);
        CHECK(EmulatedDevice::overruns() == overruns);
    }
}

Problem problem(const MatmulShape& s, int64_t a, int64_t b, int64_t c) {
    return {s, random_tensor<float>({a}, 1), random_tensor<float>({b}, 2), random_tensor<float>({c}, 3)};
}
Problem dense(int64_t m, int64_t n, int64_t k, int transposed = 0, int64_t batch = 1) {
    return problem(MatmulShape::dense(m, n, k, transposed & 1, transposed & 2, batch), batch * m * k,
                   batch * k * n, batch * m * n);
}

}  // namespace

TEST_CASE("products by the library are right", "[cuda][blas]") {
    EmulatedDevice device;
    const Libraries libraries;
    struct Case {
        int64_t m, n, k, batch;
    };
    for (const Case& c : {Case{1, 1, 1, 1}, Case{3, 5, 7, 2}, Case{16, 24, 32, 1}, Case{8, 16, 64, 3},
                          Case{1, 13, 64, 1}, Case{13, 1, 65, 1}, Case{17, 19, 131, 1}, Case{2, 3, 1, 5}})
        for (int transposed = 0; transposed < 4; ++transposed) {
            Problem p = dense(c.m, c.n, c.k, transposed, c.batch);
            check(libraries, p);
            p.epilogue.accumulate = true;
            check(libraries, p);
            p.epilogue = {.bias = random_tensor<float>({c.n}, 4), .relu = true};
            check(libraries, p);
            p.epilogue = {.bias = random_tensor<float>({c.n}, 4),
                          .residual = random_tensor<float>(p.c.shape(), 5)};
            check(libraries, p);
        }
}

TEST_CASE("products of strided batches by the library are right", "[cuda][blas]") {
    EmulatedDevice device;
    const Libraries libraries;
    for (auto [n, t, h, d] :
         {std::array<int64_t, 4>{2, 17, 3, 5}, {3, 8, 2, 16}, {1, 5, 4, 8}, {4, 9, 1, 3}}) {
        const MatrixLayout wide{3 * h * d, false, t * 3 * h * d, d}, narrow{h * d, false, t * h * d, d},
            scores{t, false, h * t * t, t * t};
        MatrixLayout keys = wide, turned = scores;
        keys.transposed = turned.transposed = true;
        const int64_t packed = n * t * 3 * h * d;
        check(libraries, problem({n, h, t, t, d, wide, keys, scores}, packed, packed, n * h * t * t));
        check(libraries, problem({n, h, t, t, d, wide, keys, turned}, packed, packed, n * h * t * t));
        check(libraries,
              problem({n, h, t, d, t, scores, wide, narrow}, n * h * t * t, packed, n * t * h * d));
        check(libraries, problem({n, h, t, d, t, turned, wide, wide}, n * h * t * t, packed, packed));
        // From inside a tensor, where no address is a multiple of 16.
        Problem inside = problem({n, h, t, t, d, wide, keys, scores}, packed, packed, n * h * t * t);
        for (Precision precision : kAll) {
            const ProductModeScope scope({precision, true});
            Tensor a = random_tensor<float>({packed + 1}, 1).to(kCuda), c = inside.c.to(kCuda);
            inside.a = a.view({packed}, 1).to(kCpu);
            cuda::matmul(inside.shape, a.view({packed}, 1), inside.b.to(kCuda), c);
            CHECK(is_right(inside, c.to(kCpu), precision));
        }
    }
    // One factor for the whole batch, and for one of its axes.
    check(libraries,
          problem({3, 1, 4, 6, 5, {5, false, 20, 0}, {6, false, 0, 0}, {6, false, 24, 0}}, 60, 30, 72));
    check(libraries,
          problem({3, 2, 4, 6, 5, {5, false, 20, 0}, {6, false, 0, 30}, {6, false, 48, 24}}, 60, 60, 144));
    // Rows with room between them.
    check(libraries, problem({1, 1, 7, 5, 9, {11, false}, {8, false}, {13, false}}, 77, 72, 91));
}

TEST_CASE("what the library cannot do is left to the plain kernels", "[cuda][blas]") {
    EmulatedDevice device;
    const Libraries libraries;
    auto plain = [&](const Problem& p) {
        const int64_t before = libraries.blas().calls();
        CHECK(is_right(p, run(p, Precision::f32), Precision::f32));
        CHECK(libraries.blas().calls() == before);
    };
    plain(dense(0, 3, 2));
    plain(dense(3, 0, 2));
    plain(dense(2, 3, 0));
    plain(dense(2, 3, 0, 3, 0));
    // Rows of a factor that overlap.
    plain(problem({1, 1, 4, 5, 3, {1, false}, {5, false}, {5, false}}, 6, 15, 20));
    // ReLU on rows with room between them.
    Problem relu = problem({1, 1, 4, 5, 3, {3, false}, {5, false}, {7, false}}, 12, 15, 28);
    relu.epilogue.relu = true;
    plain(relu);
    Problem both = dense(3, 4, 5);
    both.epilogue = {.residual = random_tensor<float>({12}, 9), .accumulate = true};
    plain(both);

    // f64, and runs that want the CPU's bits.
    const int64_t before = libraries.blas().calls();
    auto product = [](const Tensors& in, Tensors& out, KernelContext& context) {
        kernels::matmul(MatmulShape::dense(5, 6, 7), in[0], in[1], out[0], context);
    };
    CHECK(same_on_both({random_tensor<double>({35}, 1), random_tensor<double>({42}, 2)},
                       {unwritten({30}, Dtype::f64)}, product,
                       kernels::matmul_workspace<double>(MatmulShape::dense(5, 6, 7))));
    const ProductModeScope exact({.libraries = false});
    CHECK(same_on_both({random_tensor<float>({35}, 1), random_tensor<float>({42}, 2)},
                       {unwritten({30}, Dtype::f32)}, product,
                       kernels::matmul_workspace<float>(MatmulShape::dense(5, 6, 7))));
    CHECK(libraries.blas().calls() == before);
}

TEST_CASE("products by the library have the same bits in every run", "[cuda][blas]") {
    EmulatedDevice device;
    for (Precision precision : kAll)
        for (const Problem& p : {dense(16, 24, 32), dense(9, 7, 200, 2), dense(5, 4, 65, 1, 3)}) {
            Tensor first;
            for (int start = 0; start < 2; ++start) {
                const Libraries libraries;  // anew, with nothing remembered
                for (int repeat = 0; repeat < 2; ++repeat) {
                    const Tensor c = run(p, precision);
                    if (!first.defined()) first = c;
                    CHECK(agree(c, first));
                }
            }
        }
}

TEST_CASE("a product keeps to its part of a tensor", "[cuda][blas]") {
    EmulatedDevice device;
    const Libraries libraries;
    // Into the middle, with ReLU; then with a residual what was multiplied without one before.
    const Problem p = dense(8, 16, 32);
    for (bool residual : {false, true}) {
        Tensor all = Tensor::full({3 * 128}, -2, Dtype::f32).to(kCuda), c = all.view({2 * 128}, 128);
        MatmulEpilogue epilogue{.relu = true};
        if (residual) epilogue.residual = random_tensor<float>({128}, 6).to(kCuda);
        cuda::matmul(p.shape, p.a.to(kCuda), p.b.to(kCuda), c, epilogue);
        const Tensor after = all.to(kCpu);
        for (std::size_t i = 0; i < 384; ++i)
            CHECK((i / 128 == 1 ? after.data<float>()[i] >= 0 : after.data<float>()[i] == -2));
    }
}

TEST_CASE("a NaN stays one behind the library's products", "[cuda][blas]") {
    EmulatedDevice device;
    const Libraries libraries;
    Problem p = dense(4, 8, 8);
    p.a.mutable_data<float>()[9] = std::numeric_limits<float>::quiet_NaN();
    p.epilogue.relu = true;
    for (Precision precision : kAll) {
        const Tensor c = run(p, precision);
        for (std::size_t i = 0; i < 32; ++i) CHECK(std::isnan(c.data<float>()[i]) == (i / 8 == 1));
    }
}

TEST_CASE("every op is right with products by the library", "[cuda][blas]") {
    EmulatedDevice device;
    const Libraries libraries;
    auto gradients = [](const OpInfo& op, const OpSample& sample) {
        Tensors all = apply(op, sample.attributes, sample.inputs);
        if (op.vjp == nullptr) return all;
        const gradcheck::OpFunction function(op, sample);
        const auto inputs = function.at(function.point());
        if (inputs.variables.empty()) return all;
        const Tensors cotangents = function.cotangents(gradcheck::Vector(function.outputs(), 0.75));
        Tape tape;
        tape.watch(inputs.variables);
        const Tensors outputs = function.floating(apply(op, sample.attributes, inputs.all));
        for (const Tensor& gradient : tape.vjp(outputs, cotangents, inputs.variables))
            all.push_back(gradient);
        return all;
    };
    const int64_t before = libraries.blas().calls();
    for (const OpInfo* op : all_ops()) {
        if (op->name == "external") continue;  // its callables are the caller's
        for (const OpSample& sample : op->samples().samples) {
            SampleSet here;
            here.samples = {gradcheck::converted(sample, Dtype::f64, Dtype::f32)};
            const SampleSet there = gradcheck::on_device(*op, here, kCuda);
            if (there.samples.empty()) continue;
            INFO(op->name << ", " << sample.name);
            const Tensors expected = gradients(*op, here.samples[0]),
                          actual = gradients(*op, there.samples[0]);
            REQUIRE(actual.size() == expected.size());
            for (std::size_t r = 0; r < actual.size(); ++r) {
                const auto e = gradcheck::to_doubles(expected[r]), a = gradcheck::to_doubles(actual[r]);
                double largest = 0, apart = 0;
                for (std::size_t i = 0; i < e.size(); ++i) {
                    largest = std::max(largest, std::abs(e[i]));
                    if (e[i] != a[i] && !(std::isnan(e[i]) && std::isnan(a[i])))
                        apart = std::max(apart, std::abs(e[i] - a[i]));
                }
                CHECK(apart <= 1e-5 * largest);
            }
        }
    }
    CHECK(libraries.blas().calls() > before + 30);
}

TEST_CASE("a missing library is said, and no error", "[cuda][blas]") {
    std::ostringstream said;
    std::streambuf* log = std::clog.rdbuf(said.rdbuf());
    const std::vector<std::string> nowhere{"libcublasLt.so.of-no-version"}, another{"libc.so.6"};
    const auto none = cuda::Blas::open(nowhere), wrong = cuda::Blas::open(another);
    std::clog.rdbuf(log);
    CHECK(none == nullptr);
    CHECK(wrong == nullptr);
    CHECK(said.str().find("libcublasLt.so.of-no-version is not found") != std::string::npos);
    CHECK(said.str().find("libc.so.6 has no cublasLtCreate") != std::string::npos);
}

TEST_CASE("too little memory for the library's workspace is said as ever", "[cuda][blas]") {
    EmulatedDevice device(1 << 20);
    const Libraries libraries;
    const Problem p = dense(9, 7, 201);
    Tensor a = p.a.to(kCuda), b = p.b.to(kCuda), c = p.c.to(kCuda);
    EmulatedDevice::limit_memory(static_cast<std::size_t>(201 * (9 + 7) + 63) * 4 + 100);
    CHECK_THROWS_AS(cuda::matmul(p.shape, a, b, c), OutOfMemoryError);
    EmulatedDevice::limit_memory(1 << 20);
    cuda::matmul(p.shape, a, b, c);
    CHECK(is_right(p, c.to(kCpu), Precision::f32));
}
