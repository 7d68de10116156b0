#include "report/confusion_plot.hpp"

#include "base/error.hpp"
#include "report/format.hpp"
#include "report/layout.hpp"

#include <algorithm>
#include <cmath>

namespace microtome::report {
namespace {

constexpr double kText = 12;
constexpr double kPi = 3.14159265358979;

void check(const ConfusionPlot& plot) {
    std::size_t classes = plot.classes.size();
    bool square = plot.counts.size() == classes;
    for (const auto& row : plot.counts) square = square && row.size() == classes;
    if (!square || classes == 0)
        throw ShapeError("draw_confusion", str("expected a row and a column for each of ", classes,
                                               " classes, got ", plot.counts.size(), " rows"));
    for (const auto& [truth, predicted] : plot.grave)
        if (truth >= classes || predicted >= classes)
            throw ShapeError("draw_confusion", str("expected mistakes between ", classes, " classes, got ",
                                                   truth, " for ", predicted));
}

// The names of the predicted classes: level where they fit above their cells, else slanted.
struct Heading {
    bool slanted = false;
    double height = 0;
    double overhang = 0;  // of the last name beyond the last cell
    double room = 0;      // for one name
};

Heading plan_heading(const std::vector<std::string>& classes, double cell, double width) {
    double widest = 0;
    for (const std::string& name : classes) widest = std::max(widest, text_width(name, kText));
    Heading heading;
    heading.slanted = widest > cell - 6;
    heading.room = heading.slanted ? std::min(widest, .3 * width) : cell - 6;
    heading.height = heading.slanted ? heading.room * std::sin(kPi / 4) + 14 : 20;
    heading.overhang = heading.slanted ? std::max(0.0, heading.room * std::cos(kPi / 4) + 8 - cell / 2) : 0;
    return heading;
}

}  // namespace

Html draw_confusion(const ConfusionPlot& plot, double width) {
    check(plot);
    std::size_t classes = plot.classes.size();
    double widest = 0;
    for (const std::string& name : plot.classes) widest = std::max(widest, text_width(name, kText));
    double left = std::min(widest, .28 * width) + 10;
    // The names' overhang depends on the cells and they on it; twice is near enough.
    double cell = std::min((width - left - 4) / static_cast<double>(classes), 76.0);
    Heading heading = plan_heading(plot.classes, cell, width);
    cell = std::min((width - left - 4 - heading.overhang) / static_cast<double>(classes), 76.0);
    heading = plan_heading(plot.classes, cell, width);

    const double above = 22;  // what rows and columns are
    double row_height = std::clamp(cell, 18.0, 54.0);
    double top = above + heading.height;
    Svg svg(width, top + row_height * static_cast<double>(classes) + 4, plot.title);
    svg.text(0, 12, shorten("rows: true class, columns: what it was taken for", width, kText),
             {kText, Anchor::start, colour::muted});

    for (std::size_t i = 0; i < classes; ++i) {
        double x = left + cell * (static_cast<double>(i) + .5);
        std::string name = shorten(plot.classes[i], heading.room, kText);
        if (heading.slanted)
            svg.text(x + 2, top - 8, name, {kText, Anchor::start, colour::ink, false, false, -45});
        else
            svg.text(x, top - 8, name, {kText, Anchor::middle, colour::ink});
    }
    for (std::size_t truth = 0; truth < classes; ++truth) {
        const std::vector<int64_t>& row = plot.counts[truth];
        int64_t total = 0;
        for (int64_t count : row) total += count;
        double y = top + row_height * static_cast<double>(truth);
        svg.text(left - 8, y + row_height / 2 + 4, shorten(plot.classes[truth], left - 10, kText),
                 {kText, Anchor::end, colour::ink});
        for (std::size_t predicted = 0; predicted < classes; ++predicted) {
            int64_t count = row[predicted];
            double share = total > 0 ? static_cast<double>(count) / static_cast<double>(total) : 0;
            bool right = truth == predicted;
            double x = left + cell * static_cast<double>(predicted);
            std::string tip = str(plot.classes[truth], right ? ", recognised: " : " taken for ",
                                  right ? "" : plot.classes[predicted] + ": ", count_text(count), " of ",
                                  count_text(total));
            double opacity = count == 0 ? .05 : .12 + .8 * share;
            svg.rect(x + 1, y + 1, cell - 2, row_height - 2,
                     {count == 0 ? colour::muted : series_colour(right ? 0 : 1), opacity}, tip, 2);
            auto on_it = opacity > .5 ? colour::paper : count == 0 ? colour::muted : colour::ink;
            double middle = x + cell / 2, centre = y + row_height / 2;
            // The count if it fits, the share if there is room for both or for it alone.
            std::string number = count_text(count);
            bool counted = text_width(number, kText) <= cell - 4;
            bool shared = count > 0 && cell >= 38 && (row_height >= 36 || !counted);
            bool both = counted && shared;
            if (counted)
                svg.text(middle, both ? centre - 1 : centre + 4, number,
                         {kText, Anchor::middle, on_it, right});
            if (shared)
                svg.text(middle, both ? centre + 14 : centre + 4, share_text(share),
                         {11, Anchor::middle, on_it});
        }
    }
    for (const auto& [truth, predicted] : plot.grave) {
        if (plot.counts[truth][predicted] == 0) continue;
        svg.frame(left + cell * static_cast<double>(predicted) + 1.5,
                  top + row_height * static_cast<double>(truth) + 1.5, cell - 3, row_height - 3,
                  {colour::ink, 2}, 2);
    }
    return svg.finish();
}

}  // namespace microtome::report
