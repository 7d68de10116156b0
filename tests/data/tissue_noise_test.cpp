#include "data/tissue_noise.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <set>

using namespace microtome;
using namespace microtome::tissue;

TEST_CASE("noise is smooth, bounded, and repeats after 32 grains", "[tissue]") {
    const Noise noise({.seed = 3}, "anything", 2);
    float low = 1, high = -1;
    for (int i = 0; i < 4000; ++i) {
        const Vec p{0.037f * static_cast<float>(i) - 60, 0.021f * static_cast<float>(i) - 40};
        const float value = noise(p);
        low = std::min(low, value), high = std::max(high, value);
        CHECK(std::abs(noise(p + Vec{0.01f, 0}) - value) < 0.04f);
        CHECK(noise(p + Vec{64, -64}) == Approx(value).margin(1e-3));
    }
    CHECK(low >= -1);
    CHECK(low < -0.6f);
    CHECK(high <= 1);
    CHECK(high > 0.6f);
    CHECK(noise({5.3f, 1.2f}) != Noise({.seed = 4}, "anything", 2)({5.3f, 1.2f}));
    CHECK(noise({5.3f, 1.2f}) != Noise({.seed = 3}, "something", 2)({5.3f, 1.2f}));
}

TEST_CASE("dice follow their name alone, and cover their range", "[tissue]") {
    const Origin origin{.seed = 1, .tissue_class = 2, .index = 3};
    Dice one(origin, "one"), again(origin, "one"), other(origin, "other");
    Dice another_class({.seed = 1, .tissue_class = 3, .index = 3}, "one");
    std::set<float> seen;
    double sum = 0, logarithms = 0;
    for (int i = 0; i < 2000; ++i) {
        const float value = one.uniform(2, 6);
        CHECK(value == again.uniform(2, 6));
        CHECK(value >= 2);
        CHECK(value < 6);
        sum += value;
        seen.insert({value, other.uniform(2, 6), another_class.uniform(2, 6)});
        logarithms += std::log(static_cast<double>(one.ratio(0.5f, 2)));
        again.uniform();
    }
    CHECK(seen.size() > 5900);
    CHECK(sum / 2000 == Approx(4).margin(0.1));
    CHECK(logarithms / 2000 == Approx(0).margin(0.05));
    CHECK(length(one.any_direction()) == Approx(1));
}

TEST_CASE("a point belongs to the nearest of all cells", "[tissue]") {
    const Cells cells({.seed = 6}, "cells", 5, 1);
    for (int i = 0; i < 500; ++i) {
        const Vec p{0.71f * static_cast<float>(i % 37) - 13, 0.93f * static_cast<float>(i % 29) - 9};
        float nearest = 1e9f, second = 1e9f, own = -1;
        cells.each(p, 15, [&](Vec centre, float random) {
            const float d = length(p - centre);
            if (d < nearest) own = random;
            second = d < nearest ? nearest : std::min(second, d);
            nearest = std::min(nearest, d);
        });
        const Cells::Place place = cells.at(p);
        CHECK(place.distance == Approx(nearest));
        CHECK(length(p - place.neighbour) == Approx(second));
        CHECK(place.random == own);
        // The border is where both centres are equally far.
        const Vec apart = place.neighbour - place.centre;
        const Vec at_border = p + (place.border / length(apart)) * apart;
        CHECK(length(at_border - place.centre) == Approx(length(at_border - place.neighbour)));
    }
}

TEST_CASE("without disorder cells are hexagons", "[tissue]") {
    const Cells cells({.seed = 6}, "cells", 10, 0);
    const Vec centre = cells.at({3, 4}).centre;
    int neighbours = 0;
    cells.each(centre, 10.1f, [&](Vec other, float) { neighbours += length(other - centre) > 9.9f; });
    CHECK(neighbours == 6);
}
