// How far a model's confidence can be believed.
#pragma once

#include "report/format.hpp"
#include "report/svg.hpp"

#include <string>
#include <vector>

namespace microtome::report {

struct ReliabilityPlot {
    std::string title;
    struct Bin {
        double confidence = 0;  // the mean of those in it
        Share accuracy{};       // theirs; n says how many they are
    };
    std::vector<Bin> bins{};  // empty bins (n = 0) are left out
};

// A reliability diagram (DeGroot and Fienberg 1983): accuracy over confidence, with intervals, beside the
// line where both are equal; below it, how many images each bin has.
Html draw_reliability(const ReliabilityPlot& plot, double width);

}  // namespace microtome::report
