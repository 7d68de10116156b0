// What tissue is drawn from: points, random numbers by name, smooth noise and a plane divided into cells.
//
// Lengths are in units: an image shows 100 of them across, whatever its size in pixels. Everything here is
// IEEE arithmetic, tensor/math.hpp and Philox, so the same tissue has the same bits everywhere.
#pragma once

#include "tensor/philox.hpp"
#include "tensor/random.hpp"

#include <array>
#include <string_view>

namespace microtome::tissue {

struct Vec {
    float x = 0, y = 0;
    friend Vec operator+(Vec a, Vec b) { return {a.x + b.x, a.y + b.y}; }
    friend Vec operator-(Vec a, Vec b) { return {a.x - b.x, a.y - b.y}; }
    friend Vec operator*(float s, Vec a) { return {s * a.x, s * a.y}; }
};
inline float dot(Vec a, Vec b) {
    return a.x * b.x + a.y * b.y;
}
inline float length(Vec a) {
    return math::sqrt(dot(a, a));
}
inline Vec across(Vec a) {  // a quarter turn
    return {-a.y, a.x};
}
inline Vec direction(float turns) {  // a whole turn is 1
    const float angle = 6.2831853f * turns;
    return {math::cos(angle), math::sin(angle)};
}

inline float mix(float a, float b, float t) {
    return a + (b - a) * t;
}
inline float clamp(float x, float low, float high) {
    return x < low ? low : (x > high ? high : x);
}
// The integer below, of a number that fits one; the library's floor is a call where SSE4 is not assumed.
inline int floor_of(float x) {
    const int towards_zero = static_cast<int>(x);
    return towards_zero - (static_cast<float>(towards_zero) > x ? 1 : 0);
}
// 0 up to `low`, 1 from `high` on, smooth between.
inline float smooth_step(float low, float high, float x) {
    const float t = clamp((x - low) / (high - low), 0, 1);
    return t * t * (3 - 2 * t);
}

// Which piece of tissue: every random number in it is named by this and a word for what the number is for.
struct Origin {
    uint64_t seed = 0;
    uint32_t tissue_class = 0;
    uint64_t index = 0;
    RandomKey key(std::string_view what) const;
};

// Random numbers one after another. A statement draws two of them only where the language says which comes
// first: between braces or in declarations, never among the arguments of a call.
class Dice {
  public:
    Dice(const Origin& origin, std::string_view what);

    float uniform(float low = 0, float high = 1) { return mix(low, high, random::uniform_float(word())); }
    float normal() { return random::normal_float(word()); }
    // Between low and high, their ratio divided evenly: as often in the lower octave as in the upper.
    float ratio(float low, float high);
    bool chance(float probability) { return uniform() < probability; }
    Vec any_direction() { return direction(uniform()); }

  private:
    uint32_t word();
    random::StreamKey stream_;
    uint32_t tissue_class_;
    random::Words words_{};
    uint64_t next_ = 0;  // the word that comes next
};

// Values between -1 and 1 that change over about `grain` units: random ones on a lattice, a quintic between.
// Repeats after kPeriod grains.
class Noise {
  public:
    Noise(const Origin& origin, std::string_view what, float grain);
    float operator()(Vec p) const;

  private:
    static constexpr int kPeriod = 32;
    std::array<float, kPeriod * kPeriod> lattice_;
    float per_unit_;
};

// Two scales of it: coarse, and finer by 2.3 at 0.45 of the height; within -1 and 1.
class RoughNoise {
  public:
    RoughNoise(const Origin& origin, std::string_view what, float grain);
    float operator()(Vec p) const;

  private:
    Noise coarse_, fine_;
};

// Moves points by up to about `amount`, so that what is straight behind it is not.
class Warp {
  public:
    Warp(const Origin& origin, float grain, float amount);
    Vec operator()(Vec p) const;

  private:
    RoughNoise x_, y_;
    float amount_;
};

// The plane divided into cells: each point belongs to the nearest of the centres, which stand on a lattice of
// `spacing`, each moved by up to `disorder` half spacings (Worley 1996). Every second row is shifted by half,
// so that disorder 0 gives hexagons.
class Cells {
  public:
    Cells(const Origin& origin, std::string_view what, float spacing, float disorder);

    struct Place {
        Vec centre;       // of the cell the point is in
        Vec neighbour;    // the second nearest centre
        float distance;   // to the centre
        float border;     // to the border with that neighbour
        uint32_t number;  // names the cell
        float random;     // in [0,1), the cell's own
    };
    Place at(Vec p) const;

    // Calls visit(centre, random) for each cell whose centre is within `reach` of `middle`.
    template <class Visit>
    void each(Vec middle, float reach, Visit&& visit) const {
        const int rows = static_cast<int>(reach / (kRow * spacing_)) + 2;
        const int columns = static_cast<int>(reach / spacing_) + 2;
        const int row0 = floor_of(middle.y / (kRow * spacing_));
        const int column0 = floor_of(middle.x / spacing_);
        for (int row = row0 - rows; row <= row0 + rows; ++row)
            for (int column = column0 - columns; column <= column0 + columns; ++column) {
                const Vec c = centre(column, row);
                if (length(c - middle) <= reach) visit(c, own_[slot(column, row)]);
            }
    }

  private:
    static constexpr int kPeriod = 32;
    static constexpr float kRow = 0.8660254f;  // rows of a hexagonal lattice: sqrt(3) / 2 apart
    static std::size_t slot(int column, int row) {
        return static_cast<std::size_t>((row & (kPeriod - 1)) * kPeriod + (column & (kPeriod - 1)));
    }
    Vec centre(int column, int row) const;

    float spacing_;
    std::array<Vec, kPeriod * kPeriod> moved_;
    std::array<float, kPeriod * kPeriod> own_;
};

}  // namespace microtome::tissue
