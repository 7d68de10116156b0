// Random numbers that depend on nothing but what is asked for: Philox 4x32 in 10 rounds, a keyed bijection of
// 128-bit counters (Salmon, Moraes, Dror & Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3", section
// 3.3), and what is made of its words. Host and device draw the same bits.
//
// The layout. A stream is named by (seed, purpose, sample) and drawn from at (restart, step):
//
//     (k0, k1, -, -)   = philox(counter: purpose low, purpose high, sample low, sample high;
//                               key: seed low, seed high)
//     words of block b = philox(counter: b low, b high, step, restart; key: k0, k1)
//
// Element i of floats, normals and signs takes word i % 4 of block i / 4; element i of doubles the 64 bits of
// words 2 (i % 2) (low) and 2 (i % 2) + 1 (high) of block i / 2; integers are explained at their function.
#pragma once

#include "tensor/math.hpp"

namespace microtome::random {

struct Words {
    uint32_t word[4];
};
struct StreamKey {
    uint32_t key[2];
};

MICROTOME_HD Words philox(Words counter, StreamKey key) {
    uint32_t a = counter.word[0], b = counter.word[1], c = counter.word[2], d = counter.word[3];
    uint32_t k0 = key.key[0], k1 = key.key[1];
    for (int round = 0; round < 10; ++round) {
        uint64_t first = uint64_t{0xd2511f53u} * a, second = uint64_t{0xcd9e8d57u} * c;
        a = static_cast<uint32_t>(second >> 32) ^ b ^ k0;
        b = static_cast<uint32_t>(second);
        c = static_cast<uint32_t>(first >> 32) ^ d ^ k1;
        d = static_cast<uint32_t>(first);
        k0 += 0x9e3779b9u;  // the golden ratio, and sqrt(3) - 1 below
        k1 += 0xbb67ae85u;
    }
    return {{a, b, c, d}};
}

MICROTOME_HD uint32_t low_word(uint64_t x) {
    return static_cast<uint32_t>(x);
}
MICROTOME_HD uint32_t high_word(uint64_t x) {
    return static_cast<uint32_t>(x >> 32);
}

MICROTOME_HD StreamKey stream_key(uint64_t seed, uint64_t purpose, uint64_t sample) {
    Words words = philox({{low_word(purpose), high_word(purpose), low_word(sample), high_word(sample)}},
                         {{low_word(seed), high_word(seed)}});
    return {{words.word[0], words.word[1]}};
}
MICROTOME_HD Words block_of(StreamKey key, uint32_t restart, uint32_t step, uint64_t block) {
    return philox({{low_word(block), high_word(block), step, restart}}, key);
}

// In [0, 1): the upper 24 bits of a word, the upper 53 of two.
MICROTOME_HD float uniform_float(uint32_t word) {
    return static_cast<float>(static_cast<int32_t>(word >> 8)) * 0x1p-24f;
}
MICROTOME_HD double uniform_double(uint32_t low, uint32_t high) {
    return static_cast<double>(static_cast<int64_t>((uint64_t{high} << 32 | low) >> 11)) * 0x1p-53;
}
// -1 or 1, by the top bit.
MICROTOME_HD float random_sign(uint32_t word) {
    return math::from_bits<float>((word & 0x80000000u) | 0x3f800000u);
}

// A normal number, mean 0 and variance 1, from one word: the inverse of the distribution function. The lowest
// bit is the sign, the rest a number t in (0, 1), twice the probability of the tail beyond the result:
// z = sqrt(2) erfinv(1 - t). As a function of w = -log(t (2 - t)), z / (1 - t) is smooth (Giles 2012,
// "Approximating the erfinv function"); the two polynomials are our own fits, off by 4e-7 of z at most.
// |z| < 6.34.
MICROTOME_HD float normal_float(uint32_t word) {
    float t = math::fma(static_cast<float>(static_cast<int32_t>(word >> 1)), 0x1p-31f, 0x1p-32f);
    float w = -math::log(t * (2.0f - t));
    float a = w - 2.5f;  // for w < 5
    float b = math::sqrt(w) - 3.25f;
    float near =
        math::polynomial(a, 2.1233137e+00f, 3.4880266e-01f, -5.908171e-03f, -1.7730102e-03f, 3.0915023e-04f,
                         -6.21797e-06f, -4.990568e-06f, 4.8610195e-07f, 4.0354756e-08f);
    float far =
        math::polynomial(b, 4.361274e+00f, 1.4216417e+00f, 7.5696623e-03f, -5.218311e-03f, 3.6262954e-03f,
                         -2.6334443e-03f, 1.2585282e-03f, -2.2564757e-04f, -1.5692103e-05f);
    float z = (1.0f - t) * (w < 5.0f ? near : far);
    return math::from_bits<float>(math::to_bits(z) ^ (word << 31));
}

}  // namespace microtome::random
