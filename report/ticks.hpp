// Where the axes of plots have their marks.
#pragma once

#include <string>
#include <vector>

namespace microtome::report {

struct Tick {
    double value = 0;
    std::string label;

    friend bool operator==(const Tick&, const Tick&) = default;
};

// About `wanted` multiples of 1, 2 or 5 times a power of ten (Heckbert 1990, "Nice numbers for graph
// labels"), from the last at or below `low` to the first at or above `high`; with `within`, only those
// between the two. `least` is the smallest distance allowed: 1 for what is counted. Bounds that are equal or
// not finite are taken apart first.
std::vector<Tick> nice_ticks(double low, double high, int wanted, bool within = false, double least = 0);

// Ticks for shares: 0, .2, ... 1, or of 0, .5, 1 where there is little room.
std::vector<Tick> share_ticks(bool few);

// The epsilon axis is logarithmic, but shows 0 as well: it goes up by one for every doubling of epsilon from
// 2^first / 255 on, which lies at 1, and is linear from 0 at 0 to there.
struct EpsilonAxis {
    int first = -2;  // 1/4 of a grey level
    int last = 3;    // 8 of 255

    // That which shows all of these, and no finer than it takes.
    static EpsilonAxis over(const std::vector<double>& epsilons);

    double position(double epsilon) const;
    double end() const { return last - first + 1; }
    std::vector<Tick> ticks() const;  // values are epsilons; labels 0, 1/4, 1/2, 1, 2, ... in 255ths
};

}  // namespace microtome::report
