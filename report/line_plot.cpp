#include "report/line_plot.hpp"

#include "base/text.hpp"
#include "report/format.hpp"
#include "report/layout.hpp"
#include "report/ticks.hpp"

#include <algorithm>
#include <cmath>

namespace microtome::report {
namespace {

constexpr double kText = 12;  // the font's size
constexpr double kLineOfText = 16;
constexpr double kGap = 14;     // between names at the ends of curves
constexpr double kTickGap = 6;  // between labels of ticks

bool has_interval(const CurvePoint& point) {
    return std::isfinite(point.low) && std::isfinite(point.high);
}

// Data to pixels.
struct Frame {
    double left, right, top, bottom;  // pixels
    double x_low, x_high, y_low, y_high;
    std::optional<EpsilonAxis> epsilon{};

    double x(double value) const {
        double position = epsilon ? epsilon->position(value) : value;
        return left + (position - x_low) / (x_high - x_low) * (right - left);
    }
    double y(double value) const { return bottom - (value - y_low) / (y_high - y_low) * (bottom - top); }
};

struct Extent {
    double low = INFINITY, high = -INFINITY;

    void include(double value) {
        if (!std::isfinite(value)) return;
        low = std::min(low, value);
        high = std::max(high, value);
    }
    bool empty() const { return low > high; }
};

// The stretches of a curve without gaps.
std::vector<std::vector<CurvePoint>> stretches(const Curve& curve) {
    std::vector<std::vector<CurvePoint>> result(1);
    for (const CurvePoint& point : curve.points) {
        if (std::isfinite(point.x) && std::isfinite(point.y))
            result.back().push_back(point);
        else if (!result.back().empty())
            result.emplace_back();
    }
    if (result.back().empty()) result.pop_back();
    return result;
}

std::string polyline(const std::vector<std::pair<double, double>>& points) {
    std::string data;
    for (const auto& [x, y] : points)
        data += str(data.empty() ? "M" : "L", coordinate_text(x), ' ', coordinate_text(y));
    return data;
}

// Names in rows above the plot, for want of room beside it; returns how many rows they take. Drawn when there
// is something to draw on.
int draw_key(Svg* svg, const std::vector<Curve>& curves, double left, double right, double first_line) {
    constexpr double kSwatch = 24;
    double x = left;
    int row = 0;
    for (std::size_t i = 0; i < curves.size(); ++i) {
        std::string name = shorten(curves[i].name, right - left - kSwatch, kText);
        double width = kSwatch + text_width(name, kText);
        if (x > left && x + width > right) x = left, ++row;
        if (svg) {
            double y = first_line + row * kLineOfText;
            svg->line(x, y - 4, x + 18, y - 4, {series_colour(i), 2, curves[i].dashed});
            svg->mark(i, x + 9, y - 4, 3, series_colour(i));
            svg->text(x + kSwatch, y, name, {kText, Anchor::start, series_colour(i), true});
        }
        x += width + 14;
    }
    return row + 1;
}

struct PlacedMoment {
    double x, text_x;
    int row;
    std::string text;
};

// Each upright line's text is centred on it as far as the drawing's sides allow, on the first row where it
// meets no other.
std::vector<PlacedMoment> place_moments(const std::vector<LinePlot::Moment>& moments, const Frame& frame) {
    std::vector<PlacedMoment> placed;
    for (const LinePlot::Moment& moment : moments) {
        double x = frame.x(moment.x);
        if (!std::isfinite(x) || x < frame.left - 1 || x > frame.right + 1) continue;
        std::string text = shorten(moment.text, frame.right - frame.left, kText);
        double half = text_width(text, kText) / 2;
        double middle = std::clamp(x, frame.left + half, std::max(frame.left + half, frame.right - half));
        int row = 0;
        auto collides = [&](const PlacedMoment& other) {
            return other.row == row &&
                   std::abs(other.text_x - middle) < half + text_width(other.text, kText) / 2 + 8;
        };
        while (std::any_of(placed.begin(), placed.end(), collides)) ++row;
        placed.push_back({x, middle, row, text});
    }
    return placed;
}

void draw_axes(Svg& svg, const LinePlot& plot, const Frame& frame, const std::vector<Tick>& x_ticks,
               const std::vector<Tick>& y_ticks) {
    for (const Tick& tick : y_ticks) {
        double y = frame.y(tick.value);
        svg.line(frame.left, y, frame.right, y, {colour::line, 1});
        svg.text(frame.left - 7, y + 4, tick.label, {kText, Anchor::end, colour::muted});
    }
    svg.line(frame.left, frame.bottom, frame.right, frame.bottom, {colour::muted, 1});
    double free_from = -INFINITY;
    for (const Tick& tick : x_ticks) {
        double x = frame.x(tick.value), half = text_width(tick.label, kText) / 2;
        svg.line(x, frame.bottom, x, frame.bottom + 4, {colour::muted, 1});
        if (x - half < free_from) continue;
        svg.text(x, frame.bottom + 17, tick.label, {kText, Anchor::middle, colour::muted});
        free_from = x + half + kTickGap;
    }
    svg.text(frame.right, frame.bottom + 34, shorten(plot.x_label, frame.right, kText),
             {kText, Anchor::end, colour::muted});
    svg.text(0, 12, shorten(plot.y_label, svg.width(), kText), {kText, Anchor::start, colour::muted});
}

void draw_curve(Svg& svg, const Curve& curve, std::size_t index, const Frame& frame) {
    bool crowded = curve.points.size() > 12;
    for (const auto& stretch : stretches(curve)) {
        std::vector<std::pair<double, double>> line, band;
        for (const CurvePoint& point : stretch) {
            line.push_back({frame.x(point.x), frame.y(point.y)});
            if (has_interval(point)) band.push_back({frame.x(point.x), frame.y(point.high)});
        }
        for (auto point = stretch.rbegin(); point != stretch.rend(); ++point)
            if (has_interval(*point)) band.push_back({frame.x(point->x), frame.y(point->low)});
        if (band.size() > 2) svg.area(polyline(band) + "Z", {series_colour(index), .14});
        svg.path(polyline(line), {series_colour(index), 2, curve.dashed});
    }
    // Where points are many the line says enough, and marks are small.
    for (const auto& stretch : stretches(curve))
        for (const CurvePoint& point : stretch)
            svg.mark(index, frame.x(point.x), frame.y(point.y), crowded ? 1.2 : 3.2, series_colour(index),
                     false, point.tip);
}

// Each name beside the end of its curve, joined to it by a thin line.
void draw_names(Svg& svg, const LinePlot& plot, const Frame& frame, double room) {
    std::vector<double> wanted;
    std::vector<std::size_t> which;
    for (std::size_t i = 0; i < plot.curves.size(); ++i) {
        auto parts = stretches(plot.curves[i]);
        if (parts.empty()) continue;
        which.push_back(i);
        wanted.push_back(frame.y(parts.back().back().y) + 4);
    }
    std::vector<double> places = spread(wanted, kGap, frame.top + 4, frame.bottom + 4);
    for (std::size_t k = 0; k < which.size(); ++k) {
        const Curve& curve = plot.curves[which[k]];
        const CurvePoint end = stretches(curve).back().back();
        svg.line(frame.x(end.x) + 5, frame.y(end.y), frame.right + 12, places[k] - 4,
                 {series_colour(which[k]), 1, false, .45});
        svg.text(frame.right + 15, places[k], shorten(curve.name, room, kText),
                 {kText, Anchor::start, series_colour(which[k]), true});
    }
}

}  // namespace

Html draw_line_plot(const LinePlot& plot, double width) {
    Extent xs, ys;
    std::vector<double> epsilons;
    for (const Curve& curve : plot.curves)
        for (const CurvePoint& point : curve.points) {
            if (!std::isfinite(point.x) || !std::isfinite(point.y)) continue;
            xs.include(point.x);
            for (double y : {point.y, point.low, point.high}) ys.include(y);
            epsilons.push_back(point.x);
        }
    if (plot.level) ys.include(plot.level->y);
    if (xs.empty()) xs = {0, 1};
    if (ys.empty() || plot.shares) ys = {std::min(0.0, ys.low), std::max(1.0, ys.high)};
    if (!plot.shares && ys.low >= 0 && ys.low < .5 * ys.high)
        ys.low = 0;  // what can be 0 is shown from there

    double height = std::clamp(width * .5, 230.0, 330.0);
    std::vector<Tick> y_ticks =
        plot.shares ? share_ticks(false) : nice_ticks(ys.low, ys.high, static_cast<int>(height / 50));
    double labels = 0, names = 0;
    for (const Tick& tick : y_ticks) labels = std::max(labels, text_width(tick.label, kText));
    for (const Curve& curve : plot.curves) names = std::max(names, text_width(curve.name, kText) * 1.06);

    Frame frame{labels + 10, width - 10, 26, height - 42, 0, 1, 0, 1, {}};
    auto make_room = [&](double rows) { height += rows, frame.bottom += rows, frame.top += rows; };
    bool beside = plot.curves.size() > 1 && names <= .3 * width;
    if (beside) frame.right = width - names - 17;
    int key_rows = 0;
    if (!beside && plot.curves.size() > 1) {
        key_rows = draw_key(nullptr, plot.curves, 0, width, 0);
        make_room(key_rows * kLineOfText + 4);
    }

    std::vector<Tick> x_ticks;
    if (plot.x == LinePlot::X::epsilon) {
        frame.epsilon = EpsilonAxis::over(epsilons);
        frame.x_high = frame.epsilon->end();
        x_ticks = frame.epsilon->ticks();
    } else {
        if (xs.high <= xs.low) xs.high = xs.low + 1;
        frame.x_low = xs.low;
        frame.x_high = xs.high;
        int wanted = static_cast<int>((frame.right - frame.left) / 55);
        x_ticks = nice_ticks(xs.low, xs.high, std::max(wanted, 2), true, 1);
    }
    std::vector<PlacedMoment> moments = place_moments(plot.moments, frame);
    int moment_rows = 0;
    for (const PlacedMoment& moment : moments) moment_rows = std::max(moment_rows, moment.row + 1);
    double moments_top = frame.top;
    make_room(moment_rows * kLineOfText);
    frame.y_low = y_ticks.front().value;
    frame.y_high = y_ticks.back().value;

    Svg svg(width, height, plot.title);
    if (key_rows > 0) draw_key(&svg, plot.curves, 0, width, 12 + kLineOfText + 4);
    draw_axes(svg, plot, frame, x_ticks, y_ticks);
    for (const PlacedMoment& moment : moments) {
        double baseline = moments_top + moment.row * kLineOfText + 8;
        svg.line(moment.x, baseline + 4, moment.x, frame.bottom, {colour::muted, 1, true});
        svg.text(moment.text_x, baseline, moment.text, {kText, Anchor::middle, colour::ink});
    }
    if (plot.level) {
        double y = frame.y(plot.level->y);
        svg.line(frame.left, y, frame.right, y, {colour::muted, 1, true});
        svg.text(frame.left + 6, y - 5, shorten(plot.level->text, frame.right - frame.left, kText),
                 {kText, Anchor::start, colour::muted, false, true});
    }
    for (std::size_t i = 0; i < plot.curves.size(); ++i) draw_curve(svg, plot.curves[i], i, frame);
    if (beside) draw_names(svg, plot, frame, names);
    return svg.finish();
}

}  // namespace microtome::report
