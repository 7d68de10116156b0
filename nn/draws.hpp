// Random numbers of models: each depends on a seed, what it is for, and its place, on nothing drawn before.
#pragma once

#include "tensor/math.hpp"

#include <array>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <span>

namespace microtome {

using Words = std::array<uint32_t, 4>;

// Philox 4x32 in 10 rounds: Salmon, Moraes, Dror and Shaw 2011, section 3.3.
inline Words philox(Words counter, uint64_t seed) {
    uint32_t low = static_cast<uint32_t>(seed), high = static_cast<uint32_t>(seed >> 32);
    for (int round = 0; round < 10; ++round) {
        const uint64_t a = uint64_t{0xd2511f53u} * counter[0], b = uint64_t{0xcd9e8d57u} * counter[2];
        counter = {static_cast<uint32_t>(b >> 32) ^ counter[1] ^ low, static_cast<uint32_t>(b),
                   static_cast<uint32_t>(a >> 32) ^ counter[3] ^ high, static_cast<uint32_t>(a)};
        low += 0x9e3779b9u;
        high += 0xbb67ae85u;
    }
    return counter;
}

// In [0, 1), 24 bits.
inline float unit_from(const Words& words, int i) {
    return static_cast<float>(words[i] >> 8) * 0x1p-24f;
}

// Box and Muller 1958: two normals from two uniforms, of which the one in the logarithm is not 0.
inline float normal_from(const Words& words, int i) {
    const uint32_t radius = words[i & 2], angle = words[(i & 2) + 1];
    const double r = std::sqrt(-2 * math::log((radius + 0.5) * 0x1p-32));
    const double turn = 2 * std::numbers::pi * (angle * 0x1p-32);
    return static_cast<float>(r * (i & 1 ? math::sin(turn) : math::cos(turn)));
}

// Element i comes from word i % 4 of counter (i / 4, round, purpose).
struct Draws {
    uint64_t seed = 0, purpose = 0;
    uint32_t round = 0;  // a step, or an attempt

    template <class Law>
    void fill(std::span<float> x, const Law& law) const {
        Words words{};
        for (std::size_t i = 0; i < x.size(); ++i) {
            if (i % 4 == 0)
                words = philox({static_cast<uint32_t>(i / 4), round, static_cast<uint32_t>(purpose),
                                static_cast<uint32_t>(purpose >> 32)},
                               seed);
            x[i] = law(words, static_cast<int>(i % 4));
        }
    }
};

}  // namespace microtome
