// A confusion matrix as a heat map.
#pragma once

#include "report/svg.hpp"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace microtome::report {

struct ConfusionPlot {
    std::string title;
    std::vector<std::string> classes{};
    std::vector<std::vector<int64_t>> counts{};  // [true class][predicted class]
    // Mistakes with a frame around them, (true, predicted): malignant tissue that is taken for benign, say.
    std::vector<std::pair<std::size_t, std::size_t>> grave{};
};

// A row per true class; each cell has its count and its share of the row, where there is room for them. Cells
// are the darker the larger the share, in one colour for what is right and another for what is wrong. Throws
// ShapeError when counts is not square of classes' size.
Html draw_confusion(const ConfusionPlot& plot, double width);

}  // namespace microtome::report
