#include "data/tissue_noise.hpp"

#include "base/text.hpp"

namespace microtome::tissue {

RandomKey Origin::key(std::string_view what) const {
    return {
        .seed = seed, .purpose = purpose_of(str("tissue:", what)), .sample = index, .restart = tissue_class};
}

// --- Dice --------------------------------------------------------------------------------------------------

Dice::Dice(const Origin& origin, std::string_view what) : tissue_class_(origin.tissue_class) {
    const RandomKey key = origin.key(what);
    stream_ = random::stream_key(key.seed, key.purpose, key.sample);
}

uint32_t Dice::word() {
    if (next_ % 4 == 0) words_ = random::block_of(stream_, tissue_class_, 0, next_ / 4);
    return words_.word[next_++ % 4];
}

float Dice::ratio(float low, float high) {
    return low * math::exp(uniform() * math::log(high / low));
}

// --- Noise -------------------------------------------------------------------------------------------------

Noise::Noise(const Origin& origin, std::string_view what, float grain) : per_unit_(1 / grain) {
    fill_uniform(origin.key(what), std::span<float>(lattice_), -1, 1, {.threads = 1});
}

float Noise::operator()(Vec p) const {
    const float x = p.x * per_unit_, y = p.y * per_unit_;
    const int left = floor_of(x), top = floor_of(y);
    float u = x - static_cast<float>(left), v = y - static_cast<float>(top);
    u = u * u * u * (u * (u * 6 - 15) + 10);
    v = v * v * v * (v * (v * 6 - 15) + 10);
    const int i = left & (kPeriod - 1), j = top & (kPeriod - 1);
    const int i1 = (i + 1) & (kPeriod - 1), j1 = (j + 1) & (kPeriod - 1);
    const float* upper = &lattice_[static_cast<std::size_t>(j * kPeriod)];
    const float* lower = &lattice_[static_cast<std::size_t>(j1 * kPeriod)];
    return mix(mix(upper[i], upper[i1], u), mix(lower[i], lower[i1], u), v);
}

RoughNoise::RoughNoise(const Origin& origin, std::string_view what, float grain)
    : coarse_(origin, what, grain), fine_(origin, str(what, ":fine"), grain / 2.3f) {}

float RoughNoise::operator()(Vec p) const {
    return (coarse_(p) + 0.45f * fine_(p)) / 1.45f;
}

Warp::Warp(const Origin& origin, float grain, float amount)
    : x_(origin, "warp:x", grain), y_(origin, "warp:y", grain), amount_(amount) {}

Vec Warp::operator()(Vec p) const {
    return p + amount_ * Vec{x_(p), y_(p)};
}

// --- Cells -------------------------------------------------------------------------------------------------

Cells::Cells(const Origin& origin, std::string_view what, float spacing, float disorder) : spacing_(spacing) {
    Dice dice(origin, what);
    for (std::size_t i = 0; i < moved_.size(); ++i) {
        const float x = dice.uniform(-1, 1), y = dice.uniform(-1, 1);
        moved_[i] = 0.5f * disorder * spacing * Vec{x, y};
        own_[i] = dice.uniform();
    }
}

Vec Cells::centre(int column, int row) const {
    const float shift = (row & 1) != 0 ? 0.5f : 0.0f;
    const Vec lattice{(static_cast<float>(column) + shift) * spacing_,
                      static_cast<float>(row) * kRow * spacing_};
    return lattice + moved_[slot(column, row)];
}

Cells::Place Cells::at(Vec p) const {
    const int row = floor_of(p.y / (kRow * spacing_) + 0.5f);
    const int column = floor_of(p.x / spacing_ + 0.5f);
    float nearest = 1e30f, second = 1e30f;
    Place place{};
    for (int j = row - 2; j <= row + 2; ++j)
        for (int i = column - 2; i <= column + 2; ++i) {
            const Vec c = centre(i, j);
            const Vec d = p - c;
            const float square = dot(d, d);
            if (square < nearest) {
                second = nearest;
                place.neighbour = place.centre;
                nearest = square;
                place.centre = c;
                place.number = static_cast<uint32_t>(slot(i, j));
            } else if (square < second) {
                second = square;
                place.neighbour = c;
            }
        }
    place.random = own_[place.number];
    place.distance = math::sqrt(nearest);
    place.border = (second - nearest) / (2 * length(place.neighbour - place.centre));
    return place;
}

}  // namespace microtome::tissue
