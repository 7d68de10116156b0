// Philox against its authors' known answers; the layout; and whether the numbers look as they should.
#include "tensor/random.hpp"

#include "same_bits.hpp"
#include "tensor/philox.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <numeric>

using namespace microtome;
using namespace microtome::testing;

namespace {

const RandomKey kKey{42, purpose_of("test"), 7, 1, 3};

template <class T>
std::vector<T> draw(void (*fill)(const RandomKey&, std::span<T>, const KernelContext&), std::size_t n,
                    const RandomKey& key = kKey) {
    std::vector<T> y(n);
    fill(key, y, {});
    return y;
}

std::vector<float> uniform(std::size_t n, const RandomKey& key = kKey) {
    std::vector<float> y(n);
    fill_uniform(key, std::span<float>(y));
    return y;
}

// The largest distance between the sample's distribution function and F: Kolmogorov & Smirnov.
template <class Distribution>
double distance(std::vector<float> x, Distribution F) {
    std::sort(x.begin(), x.end());
    double worst = 0, n = static_cast<double>(x.size());
    for (std::size_t i = 0; i < x.size(); ++i) {
        double f = F(static_cast<double>(x[i]));
        worst = std::max({worst, std::fabs(f - static_cast<double>(i) / n),
                          std::fabs(f - static_cast<double>(i + 1) / n)});
    }
    return worst;
}

}  // namespace

TEST_CASE("Philox gives the known answers of Random123", "[random]") {
    auto check = [](random::Words counter, random::StreamKey key, random::Words expected) {
        random::Words words = random::philox(counter, key);
        for (int i = 0; i < 4; ++i) CHECK(words.word[i] == expected.word[i]);
    };
    check({{0, 0, 0, 0}}, {{0, 0}}, {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}});
    constexpr uint32_t ones = 0xffffffff;
    check({{ones, ones, ones, ones}}, {{ones, ones}}, {{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}});
    check({{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}, {{0xa4093822, 0x299f31d0}},
          {{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}});
}

TEST_CASE("numbers are laid out as written down", "[random]") {
    random::StreamKey stream = random::stream_key(kKey.seed, kKey.purpose, kKey.sample);
    std::vector<float> floats = uniform(9);
    std::vector<double> doubles(5);
    fill_uniform(kKey, std::span<double>(doubles));
    for (std::size_t i = 0; i < 9; ++i)
        CHECK(floats[i] == random::uniform_float(random::block_of(stream, 1, 3, i / 4).word[i % 4]));
    for (std::size_t i = 0; i < 5; ++i) {
        random::Words words = random::block_of(stream, 1, 3, i / 2);
        CHECK(doubles[i] == random::uniform_double(words.word[2 * (i % 2)], words.word[2 * (i % 2) + 1]));
    }
    // each part of the key counts
    for (RandomKey other :
         {RandomKey{43, kKey.purpose, 7, 1, 3}, RandomKey{42, kKey.purpose + (1ull << 40), 7, 1, 3},
          RandomKey{42, kKey.purpose, 7 + (1ull << 40), 1, 3}, RandomKey{42, kKey.purpose, 7, 2, 3},
          RandomKey{42, kKey.purpose, 7, 1, 4}})
        CHECK(uniform(9, other) != floats);
}

TEST_CASE("the same numbers everywhere, and a prefix stays a prefix", "[random]") {
    std::vector<float> normals = draw<float>(fill_normal, 70001), signs = draw<float>(fill_signs, 70001);
    std::vector<float> uniforms = uniform(70001);
    everywhere([&](const KernelContext& context) {
        for (std::size_t n : {0, 1, 3, 4, 5, 255, 257, 4097, 70001}) {
            CAPTURE(n, context.threads);
            auto check = [&](const std::vector<float>& expected, auto fill) {
                std::vector<float> y(n);
                fill(y);
                CHECK(std::equal(y.begin(), y.end(), expected.begin()));
            };
            check(normals, [&](auto& y) { fill_normal(kKey, std::span<float>(y), context); });
            check(signs, [&](auto& y) { fill_signs(kKey, std::span<float>(y), context); });
            check(uniforms, [&](auto& y) { fill_uniform(kKey, std::span<float>(y), 0, 1, context); });
        }
    });
    std::vector<double> wide = draw<double>(fill_normal, 70001);
    CHECK(std::equal(wide.begin(), wide.end(), normals.begin()));
}

TEST_CASE("uniform numbers are uniform", "[random]") {
    constexpr std::size_t n = 100000;
    std::vector<float> x = uniform(n);
    CHECK(*std::min_element(x.begin(), x.end()) >= 0);
    CHECK(*std::max_element(x.begin(), x.end()) < 1);
    CHECK(distance(x, [](double v) { return v; }) < 1.63 / std::sqrt(n));  // 1 % level
    std::vector<float> shifted(n);
    fill_uniform(kKey, std::span<float>(shifted), -0.03, 0.05);
    CHECK(*std::min_element(shifted.begin(), shifted.end()) >= -0.03f);
    CHECK(*std::max_element(shifted.begin(), shifted.end()) < 0.05f);
    std::vector<double> doubles(n);
    fill_uniform(kKey, std::span<double>(doubles), 0, 1);
    double mean = std::accumulate(doubles.begin(), doubles.end(), 0.0) / n;
    CHECK(mean == Approx(0.5).margin(4 / std::sqrt(12.0 * n)));
}

TEST_CASE("normal numbers are normal", "[random]") {
    constexpr std::size_t n = 100000;
    std::vector<float> x = draw<float>(fill_normal, n);
    double mean = 0, square = 0, fourth = 0;
    for (float v : x) {
        double d = static_cast<double>(v);
        mean += d / n, square += d * d / n, fourth += d * d * d * d / n;
    }
    CHECK(mean == Approx(0).margin(4 / std::sqrt(n)));
    CHECK(square == Approx(1).margin(4 * std::sqrt(2.0 / n)));
    CHECK(fourth == Approx(3).margin(4 * std::sqrt(96.0 / n)));
    CHECK(distance(x, [](double v) { return std::erfc(-v / std::sqrt(2.0)) / 2; }) < 1.63 / std::sqrt(n));
    // each number is the quantile of its word: Phi(-|z|) is half of t
    for (uint32_t k :
         {1u, 2u, 10u, 1000u, 123456u, 10000000u, 200000000u, 1000000000u, 2000000000u, 2147483000u}) {
        double z = static_cast<double>(random::normal_float(k << 1));
        double t = (static_cast<double>(k) + 0.5) * 0x1p-31;
        double density = std::exp(-z * z / 2) / std::sqrt(2 * M_PI);
        double error = (std::erfc(z / std::sqrt(2.0)) / 2 - t / 2) / density;  // in z
        CAPTURE(k, z);
        CHECK(std::fabs(error) < 1e-6 * std::max(z, 0.1));
        CHECK(random::normal_float(k << 1 | 1) == -random::normal_float(k << 1));
    }
    CHECK(random::normal_float(0) > 6);
    CHECK(random::normal_float(0) < 6.34f);
}

TEST_CASE("signs, integers and permutations", "[random]") {
    std::vector<float> signs = draw<float>(fill_signs, 10000);
    CHECK(std::all_of(signs.begin(), signs.end(), [](float s) { return s == 1 || s == -1; }));
    CHECK(std::fabs(std::accumulate(signs.begin(), signs.end(), 0.0)) < 400);
    std::vector<int> count(7);
    for (uint64_t i = 0; i < 7000; ++i) ++count[random_below(kKey, i, 7)];
    for (int c : count) CHECK(std::abs(c - 1000) < 150);
    CHECK(random_below(kKey, 0, 1) == 0);
    // Below a power of two no try fails, and the result is the upper bits of words 0 and 1.
    const random::StreamKey stream = random::stream_key(kKey.seed, kKey.purpose, kKey.sample);
    for (uint64_t i : {0, 1, 9}) {
        const random::Words words = random::block_of(stream, kKey.restart, kKey.step, i);
        const uint64_t bits = uint64_t{words.word[1]} << 32 | words.word[0];
        CHECK(random_below(kKey, i, 1ull << 63) == bits >> 1);
        CHECK(random_below(kKey, i, 1ull << 20) == bits >> 44);
    }
    uint64_t half = (1ull << 63) + 1;  // nearly every second try fails
    double mean = 0;
    for (uint64_t i = 0; i < 1000; ++i) {
        uint64_t value = random_below(kKey, i, half);
        CHECK(value < half);
        mean += static_cast<double>(value) / static_cast<double>(half) / 1000;
    }
    CHECK(mean == Approx(0.5).margin(0.04));
    CHECK_THROWS_AS(random_below(kKey, 0, 0), OptionsError);
    std::vector<int64_t> order = random_permutation(kKey, 1000), sorted = order;
    CHECK(!std::is_sorted(order.begin(), order.end()));
    std::sort(sorted.begin(), sorted.end());
    for (std::size_t i = 0; i < sorted.size(); ++i) CHECK(sorted[i] == static_cast<int64_t>(i));
    CHECK(random_permutation(kKey, 0).empty());
    Tensor longs(Spec{{3}, Dtype::i64});
    CHECK_THROWS_AS(fill_normal(kKey, longs), DtypeError);
}
