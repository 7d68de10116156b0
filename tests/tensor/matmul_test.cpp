#include "tensor/kernels/matmul.hpp"

#include "tensor/reference/matmul.hpp"
#include "tests/tensor/kernel_test_support.hpp"

#include <catch2/catch.hpp>

using namespace microtome;
using test::random_between;

namespace {

template <class T>
struct Product {
    MatmulShape shape;
    std::vector<T> a, b, c, bias, residual;

    Product(const MatmulShape& s, int64_t elements_a, int64_t elements_b, int64_t elements_c,
            std::mt19937& random)
        : shape(s),
          a(test::random_values<T>(elements_a, random)),
          b(test::random_values<T>(elements_b, random)),
          c(test::random_values<T>(elements_c, random)),
          bias(test::random_values<T>(s.n, random)),
          residual(test::random_values<T>(elements_c, random)) {}

    // What the kernel leaves in c's memory, elements between the matrices included.
    std::vector<T> fast(int threads, const Epilogue<T>& epilogue = {}) const {
        std::vector<T> result = c;
        test::Workspace workspace(kernels::matmul_workspace<T>(shape, threads));
        kernels::matmul(shape, a.data(), b.data(), result.data(), KernelContext{threads, workspace.span()},
                        epilogue);
        return result;
    }
    std::vector<T> oracle(const Epilogue<T>& epilogue = {}) const {
        std::vector<T> result = c;
        reference::matmul(shape, a.data(), b.data(), result.data(), epilogue);
        return result;
    }
};

template <class T>
Product<T> dense_product(int64_t m, int64_t n, int64_t k, bool a_transposed, bool b_transposed, int64_t batch,
                         std::mt19937& random) {
    return Product<T>(MatmulShape::dense(m, n, k, a_transposed, b_transposed, batch), batch * m * k,
                      batch * k * n, batch * m * n, random);
}

}  // namespace

TEST_CASE("the reference product is the sum of products", "[matmul]") {
    std::mt19937 random(1);
    for (bool a_transposed : {false, true})
        for (bool b_transposed : {false, true}) {
            int64_t m = 5, n = 4, k = 4500;  // two slices
            auto product = dense_product<double>(m, n, k, a_transposed, b_transposed, 1, random);
            std::vector<double> c = product.oracle();
            for (int64_t i = 0; i < m; ++i)
                for (int64_t j = 0; j < n; ++j) {
                    long double sum = 0;
                    for (int64_t p = 0; p < k; ++p)
                        sum += static_cast<long double>(product.a[a_transposed ? p * m + i : i * k + p]) *
                               product.b[b_transposed ? j * k + p : p * n + j];
                    REQUIRE(c[i * n + j] == Approx(static_cast<double>(sum)).epsilon(1e-12).margin(1e-9));
                }
        }
}

TEST_CASE("the order of summation: blocks of 256, slices of 4096", "[matmul]") {
    // 2^24 swallows a lone 1, so the result tells which ones met it and which were added up before.
    reference::OrderedSum<float> sum;
    float large = 16777216.0f;
    sum.add(large, 1.0f);
    for (int i = 1; i < 256; ++i) sum.add(1.0f, 1.0f);  // swallowed one by one
    for (int i = 0; i < 256; ++i) sum.add(1.0f, 1.0f);  // a block of its own
    REQUIRE(sum.result() == large + 256.0f);

    reference::OrderedSum<float> empty;
    REQUIRE(empty.result() == 0.0f);
    REQUIRE(reference::OrderedSum<float>(3.0f).result() == 3.0f);
}

TEST_CASE("matmul has the reference's bits", "[matmul]") {
    std::mt19937 random(2);
    const int64_t sizes[] = {0, 1, 2, 3, 5, 6, 7, 11, 12, 13, 15, 16, 17, 31, 32, 33, 48, 61, 64, 65, 97};
    const int64_t depths[] = {0, 1, 2, 3, 4, 7, 16, 64, 255, 256, 257, 300, 513};
    for (int trial = 0; trial < 150; ++trial) {
        int64_t m = sizes[random() % std::size(sizes)], n = sizes[random() % std::size(sizes)];
        int64_t k = depths[random() % std::size(depths)];
        int64_t batch = random_between(random, 1, 3);
        bool a_transposed = random() % 2, b_transposed = random() % 2;
        auto product = dense_product<float>(m, n, k, a_transposed, b_transposed, batch, random);
        Epilogue<float> epilogue;
        if (random() % 2) epilogue.bias = product.bias.data();
        if (random() % 2) epilogue.residual = product.residual.data();
        epilogue.relu = random() % 2;
        epilogue.accumulate = random() % 2;
        std::vector<float> expected = product.oracle(epilogue);
        for (cpu::Isa isa : test::available_isas()) {
            cpu::ForceIsa force(isa);
            int threads = static_cast<int>(random_between(random, 1, 4));
            INFO(cpu::isa_name(isa) << " m=" << m << " n=" << n << " k=" << k << " batch=" << batch << " a^T="
                                    << a_transposed << " b^T=" << b_transposed << " threads=" << threads);
            REQUIRE(test::same_bits(product.fast(threads, epilogue), expected));
        }
    }
}

TEMPLATE_TEST_CASE("matmul over several slices of the sum", "[matmul]", float, double) {
    std::mt19937 random(3);
    for (int64_t k : {4095, 4096, 4097, 8192, 12289}) {
        auto product = dense_product<TestType>(13, 35, k, true, false, 2, random);
        Epilogue<TestType> epilogue{product.bias.data(), nullptr, true, k % 2 == 0};
        std::vector<TestType> expected = product.oracle(epilogue);
        for (cpu::Isa isa : test::available_isas()) {
            cpu::ForceIsa force(isa);
            for (int threads = 1; threads <= 4; ++threads) {
                INFO(cpu::isa_name(isa) << " k=" << k << " threads=" << threads);
                REQUIRE(test::same_bits(product.fast(threads, epilogue), expected));
            }
        }
    }
}

TEST_CASE("matmul splits large products among threads without a trace", "[matmul]") {
    std::mt19937 random(4);
    auto product = dense_product<float>(531, 1043, 259, false, false, 1, random);
    std::vector<float> expected = product.oracle();
    for (cpu::Isa isa : test::available_isas()) {
        if (isa == cpu::Isa::reference) continue;  // slow, and split by the same code
        cpu::ForceIsa force(isa);
        for (int threads = 1; threads <= 4; ++threads)
            REQUIRE(test::same_bits(product.fast(threads), expected));
    }
}

TEST_CASE("matmul reads the heads of a packed qkv tensor where they lie", "[matmul]") {
    std::mt19937 random(5);
    const int64_t n = 3, t = 13, h = 2, d = 7;  // qkv (N, T, 3, H, D)
    const int64_t row = 3 * h * d;
    MatmulShape s;  // scores (N, H, T, T) = q k^T
    s.batch_outer = n, s.batch_inner = h, s.m = t, s.n = t, s.k = d;
    s.a = {row, false, t * row, d};
    s.b = {row, true, t * row, d};
    s.c = {t, false, h * t * t, t * t};
    std::vector<float> qkv = test::random_values<float>(n * t * row, random);
    std::vector<float> scores(n * h * t * t), expected(scores.size());
    kernels::matmul(s, qkv.data(), qkv.data() + h * d, scores.data(),
                    KernelContext{2, test::Workspace(kernels::matmul_workspace<float>(s, 2)).span()});
    for (int64_t i = 0; i < n; ++i)
        for (int64_t j = 0; j < h; ++j)
            for (int64_t p = 0; p < t; ++p)
                for (int64_t q = 0; q < t; ++q) {
                    float sum = 0;
                    for (int64_t e = 0; e < d; ++e)
                        sum = std::fma(qkv[(i * t + p) * row + j * d + e],
                                       qkv[(i * t + q) * row + h * d + j * d + e], sum);
                    expected[((i * h + j) * t + p) * t + q] = sum;
                }
    REQUIRE(test::same_bits(scores, expected));
}

TEST_CASE("matmul writes a transposed result, and nothing between its rows", "[matmul]") {
    std::mt19937 random(6);
    MatmulShape s = MatmulShape::dense(9, 21, 40);
    s.c = {12, true, 0, 0};  // 21 rows of 9, 3 elements apart
    Product<float> product(s, 9 * 40, 40 * 21, 21 * 12, random);
    REQUIRE(test::same_bits(product.fast(2), product.oracle()));
}

TEST_CASE("matmul in f64 is the reference", "[matmul]") {
    std::mt19937 random(7);
    auto product = dense_product<double>(17, 9, 300, false, true, 2, random);
    Epilogue<double> epilogue{product.bias.data(), product.residual.data(), true, true};
    for (int threads = 1; threads <= 4; ++threads)
        REQUIRE(test::same_bits(product.fast(threads, epilogue), product.oracle(epilogue)));
}

TEST_CASE("an element's bits do not depend on the matrices around it", "[matmul]") {
    std::mt19937 random(8);
    auto all = dense_product<float>(33, 47, 700, false, false, 5, random);
    std::vector<float> whole = all.fast(2);
    for (int64_t position = 0; position < 5; ++position) {
        MatmulShape one = MatmulShape::dense(33, 47, 700);
        std::vector<float> c(33 * 47);
        test::Workspace workspace(kernels::matmul_workspace<float>(one, 1));
        kernels::matmul(one, all.a.data() + position * 33 * 700, all.b.data() + position * 700 * 47, c.data(),
                        KernelContext{1, workspace.span()});
        REQUIRE(std::equal(c.begin(), c.end(), whole.begin() + position * 33 * 47));
    }
}

TEST_CASE("what is not a number passes through relu", "[matmul]") {
    float nan = std::nanf("");
    float a[1] = {nan}, b[1] = {1.0f}, c[1];
    MatmulShape s = MatmulShape::dense(1, 1, 1);
    test::Workspace workspace(kernels::matmul_workspace<float>(s, 1));
    kernels::matmul(s, a, b, c, KernelContext{1, workspace.span()},
                    Epilogue<float>{nullptr, nullptr, true, false});
    REQUIRE(std::isnan(c[0]));
}
