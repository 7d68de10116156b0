#include "report/interval_plot.hpp"

#include "base/text.hpp"
#include "report/layout.hpp"
#include "report/ticks.hpp"

#include <algorithm>
#include <cmath>

namespace microtome::report {
namespace {

constexpr double kText = 12;
constexpr double kRow = 20;

}  // namespace

Html draw_intervals(const IntervalPlot& plot, double width) {
    // The same name is the same series everywhere.
    std::vector<std::string> series;
    double names = 0, numbers = 0;
    std::size_t rows = 0;
    for (const IntervalPlot::Group& group : plot.groups)
        for (const IntervalPlot::Row& row : group.rows) {
            if (std::find(series.begin(), series.end(), row.name) == series.end()) series.push_back(row.name);
            names = std::max(names, text_width(row.name, kText));
            numbers = std::max(numbers, text_width(interval_text(row.share), kText));
            ++rows;
        }

    // Where names and numbers would leave too little for the plot itself, each row's text gets a line of its
    // own.
    double left = names + 22, right = width - numbers - 14;
    bool stacked = right - left < .35 * width;
    if (stacked) left = 14, right = width - 10;
    double row_height = stacked ? kRow * 1.9 : kRow;
    double top = 4, bottom = top + row_height * static_cast<double>(rows) +
                             (kRow + 6) * static_cast<double>(plot.groups.size());
    auto x_of = [&](double share) { return left + std::clamp(share, 0.0, 1.0) * (right - left); };

    Svg svg(width, bottom + 42, plot.title);
    for (const Tick& tick : share_ticks(false)) {
        svg.line(x_of(tick.value), top + (stacked ? 0 : 4), x_of(tick.value), bottom, {colour::line, 1});
        svg.text(x_of(tick.value), bottom + 17, tick.label, {kText, Anchor::middle, colour::muted});
    }
    svg.line(left, bottom, right, bottom, {colour::muted, 1});
    svg.text(right, bottom + 34, shorten(plot.x_label, right, kText), {kText, Anchor::end, colour::muted});

    double y = top;
    for (const IntervalPlot::Group& group : plot.groups) {
        svg.text(0, y + 16, shorten(group.name, width, kText),
                 {kText, Anchor::start, colour::ink, true, true});
        y += kRow + 3;
        for (const IntervalPlot::Row& row : group.rows) {
            auto index =
                static_cast<std::size_t>(std::find(series.begin(), series.end(), row.name) - series.begin());
            const Share& share = row.share;
            double line = stacked ? y + kRow + 6 : y + kRow / 2;
            double text = stacked ? y + 15 : line + 4;
            std::string number = interval_text(share);
            double number_width = text_width(number, kText);
            svg.text(14, text, shorten(row.name, stacked ? width - number_width - 30 : names, kText),
                     {kText, Anchor::start, series_colour(index), false, stacked});
            svg.text(width, text, number, {kText, Anchor::end, colour::ink, false, stacked});
            if (std::isfinite(share.low) && std::isfinite(share.high))
                svg.line(x_of(share.low), line, x_of(share.high), line, {series_colour(index), 2});
            if (std::isfinite(share.value))
                svg.mark(index, x_of(share.value), line, 4.2, series_colour(index), false,
                         str(group.name, ", ", row.name, ": ", number,
                             share.n > 0 ? ", n = " + count_text(share.n) : ""));
            y += row_height;
        }
        y += 3;
    }
    return svg.finish();
}

}  // namespace microtome::report
