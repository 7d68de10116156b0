// Curves: a loss over epochs, an accuracy over epsilon.
#pragma once

#include "report/svg.hpp"

#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace microtome::report {

struct CurvePoint {
    double x = 0;
    double y = 0;                                           // NaN: a gap in the curve
    double low = std::numeric_limits<double>::quiet_NaN();  // NaN: no interval
    double high = std::numeric_limits<double>::quiet_NaN();
    std::string tip{};  // what a pointer on the point shows
};

struct Curve {
    std::string name;
    std::vector<CurvePoint> points{};  // x ascending
    bool dashed = false;
};

struct LinePlot {
    std::string title;  // what is plotted, for those who cannot see it
    std::string x_label;
    std::string y_label;
    std::vector<Curve> curves{};
    enum class X { counted, epsilon } x = X::counted;  // epochs 1, 2, ...; or epsilons as parts of 1
    bool shares = false;                               // y from 0 to 1; otherwise as the points need it

    struct Moment {
        double x = 0;
        std::string text{};
    };
    std::vector<Moment> moments{};  // upright lines: "best: epoch 22"

    struct Level {
        double y = 0;
        std::string text{};
    };
    std::optional<Level> level{};  // a level line: "chance"
};

// Names stand at the ends of the curves, moved apart where they collide, or above the plot where there is no
// room beside it. Points that are not finite are left out.
Html draw_line_plot(const LinePlot& plot, double width);

}  // namespace microtome::report
