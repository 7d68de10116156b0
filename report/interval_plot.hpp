// Shares with their intervals under one another, in groups: before and after, attack by attack.
#pragma once

#include "report/format.hpp"
#include "report/svg.hpp"

#include <string>
#include <vector>

namespace microtome::report {

struct IntervalPlot {
    std::string title;
    std::string x_label;
    struct Row {
        std::string name;  // rows of one name share a colour and a mark in all groups
        Share share{};
    };
    struct Group {
        std::string name;
        std::vector<Row> rows{};
    };
    std::vector<Group> groups{};
};

// A forest plot from 0 to 1: a mark and a bar from low to high per row, and the numbers beside it.
Html draw_intervals(const IntervalPlot& plot, double width);

}  // namespace microtome::report
