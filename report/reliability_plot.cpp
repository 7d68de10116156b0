#include "report/reliability_plot.hpp"

#include "base/text.hpp"
#include "report/layout.hpp"
#include "report/ticks.hpp"

#include <algorithm>
#include <cmath>

namespace microtome::report {
namespace {

constexpr double kText = 12;

}  // namespace

Html draw_reliability(const ReliabilityPlot& plot, double width) {
    double side = std::min(width - 40, 300.0);
    double left = 30, right = left + side, top = 26, bottom = top + side;
    const double crowd_height = 34, crowd_bottom = bottom + 12 + crowd_height;
    auto x_of = [&](double share) { return left + share * side; };
    auto y_of = [&](double share) { return bottom - share * side; };

    Svg svg(std::min(width, right + 10), crowd_bottom + 42, plot.title);
    svg.text(0, 12, "share that is right", {kText, Anchor::start, colour::muted});
    for (const Tick& tick : share_ticks(false)) {
        svg.line(left, y_of(tick.value), right, y_of(tick.value), {colour::line, 1});
        svg.text(left - 7, y_of(tick.value) + 4, tick.label, {kText, Anchor::end, colour::muted});
        svg.text(x_of(tick.value), crowd_bottom + 17, tick.label, {kText, Anchor::middle, colour::muted});
    }
    svg.line(left, bottom, right, bottom, {colour::muted, 1});
    svg.text(right, crowd_bottom + 34, "confidence", {kText, Anchor::end, colour::muted});
    svg.line(x_of(0), y_of(0), x_of(1), y_of(1), {colour::muted, 1, true});
    svg.text(x_of(.04), y_of(.93), "too modest", {kText, Anchor::start, colour::muted, false, true});
    svg.text(x_of(.97), y_of(.05), "too sure", {kText, Anchor::end, colour::muted, false, true});

    int64_t most = 1;
    for (const auto& bin : plot.bins) most = std::max(most, bin.accuracy.n);
    std::string line;
    for (const auto& bin : plot.bins) {
        const Share& share = bin.accuracy;
        if (share.n <= 0 || !std::isfinite(share.value) || !std::isfinite(bin.confidence)) continue;
        double x = x_of(std::clamp(bin.confidence, 0.0, 1.0));
        line += str(line.empty() ? "M" : "L", coordinate_text(x), ' ', coordinate_text(y_of(share.value)));
        double height = crowd_height * static_cast<double>(share.n) / static_cast<double>(most);
        svg.rect(x - 5, crowd_bottom - height, 10, height, {colour::muted, .45},
                 count_text(share.n) + " images");
        if (std::isfinite(share.low) && std::isfinite(share.high))
            svg.line(x, y_of(share.low), x, y_of(share.high), {series_colour(0), 2, false, .5});
    }
    svg.line(left, crowd_bottom, right, crowd_bottom, {colour::muted, 1});
    if (!line.empty()) svg.path(line, {series_colour(0), 2});
    for (const auto& bin : plot.bins) {
        const Share& share = bin.accuracy;
        if (share.n <= 0 || !std::isfinite(share.value) || !std::isfinite(bin.confidence)) continue;
        svg.mark(0, x_of(std::clamp(bin.confidence, 0.0, 1.0)), y_of(share.value), 4, series_colour(0), false,
                 str("confidence ", share_text(bin.confidence), ", right ", interval_text(share),
                     ", n = ", count_text(share.n)));
    }
    return svg.finish();
}

}  // namespace microtome::report
