#include "report/svg.hpp"

#include "base/text.hpp"
#include "report/format.hpp"

#include <array>

namespace microtome::report {
namespace {

std::string number(double x) {
    return coordinate_text(x);
}

std::string attribute(std::string_view name, double value) {
    return str(' ', name, "=\"", number(value), '"');
}

std::string style_of(const Stroke& stroke) {
    return str(" style=\"fill:none;stroke:", stroke.colour, ";stroke-width:", number(stroke.width),
               stroke.dashed ? ";stroke-dasharray:4 3" : "",
               stroke.opacity < 1 ? ";stroke-opacity:" + number(stroke.opacity) : "", '"');
}

std::string style_of(const Fill& fill) {
    return str(" style=\"fill:", fill.colour, fill.opacity < 1 ? ";fill-opacity:" + number(fill.opacity) : "",
               '"');
}

}  // namespace

std::string_view series_colour(std::size_t index) {
    static constexpr std::array<std::string_view, 6> colours{
        "var(--series-1,#0a5f9e)", "var(--series-2,#c04a0b)", "var(--series-3,#00775a)",
        "var(--series-4,#96407f)", "var(--series-5,#7d6200)", "var(--series-6,#4b5563)"};
    return colours[index % colours.size()];
}

Svg::Svg(double width, double height, std::string_view title)
    : width_(width), height_(height), title_(escape(title)) {}

void Svg::close(std::string_view element, std::string_view tip) {
    if (tip.empty())
        body_ += "/>\n";
    else
        body_ += str("><title>", escape(tip), "</title></", element, ">\n");
}

void Svg::line(double x1, double y1, double x2, double y2, const Stroke& stroke) {
    body_ += str("<line", attribute("x1", x1), attribute("y1", y1), attribute("x2", x2), attribute("y2", y2),
                 style_of(stroke), "/>\n");
}

void Svg::rect(double x, double y, double width, double height, const Fill& fill, std::string_view tip,
               double corner) {
    body_ += str("<rect", attribute("x", x), attribute("y", y), attribute("width", width),
                 attribute("height", height), corner > 0 ? attribute("rx", corner) : "", style_of(fill));
    close("rect", tip);
}

void Svg::frame(double x, double y, double width, double height, const Stroke& stroke, double corner) {
    body_ +=
        str("<rect", attribute("x", x), attribute("y", y), attribute("width", width),
            attribute("height", height), corner > 0 ? attribute("rx", corner) : "", style_of(stroke), "/>\n");
}

void Svg::path(std::string_view data, const Stroke& stroke) {
    body_ += str("<path d=\"", data, "\" stroke-linejoin=\"round\" stroke-linecap=\"round\"",
                 style_of(stroke), "/>\n");
}

void Svg::area(std::string_view data, const Fill& fill) {
    body_ += str("<path d=\"", data, '"', style_of(fill), "/>\n");
}

void Svg::mark(std::size_t shape, double x, double y, double radius, std::string_view colour, bool hollow,
               std::string_view tip) {
    std::string style =
        str(" style=\"fill:", hollow ? colour::paper : colour, ";stroke:", colour, ";stroke-width:1.5\"");
    auto polygon = [&](std::initializer_list<std::array<double, 2>> corners) {
        body_ += "<polygon points=\"";
        for (const auto& corner : corners)
            body_ +=
                str(&corner == corners.begin() ? "" : " ", number(x + corner[0]), ',', number(y + corner[1]));
        body_ += str('"', style);
        close("polygon", tip);
    };
    // Sizes that look alike, not that measure alike.
    double r = radius, square = .88 * r, tall = 1.25 * r;
    switch (shape % 6) {
        case 0:
            body_ += str("<circle", attribute("cx", x), attribute("cy", y), attribute("r", r), style);
            close("circle", tip);
            break;
        case 1: polygon({{-square, -square}, {square, -square}, {square, square}, {-square, square}}); break;
        case 2: polygon({{0, -tall}, {1.1 * r, .8 * r}, {-1.1 * r, .8 * r}}); break;
        case 3: polygon({{0, -tall}, {tall, 0}, {0, tall}, {-tall, 0}}); break;
        case 4: polygon({{0, tall}, {1.1 * r, -.8 * r}, {-1.1 * r, -.8 * r}}); break;
        default: polygon({{-r, -.6 * r}, {0, -tall}, {r, -.6 * r}, {r, .6 * r}, {0, tall}, {-r, .6 * r}});
    }
}

void Svg::text(double x, double y, std::string_view text, const TextStyle& style) {
    constexpr std::array<std::string_view, 3> anchors{"start", "middle", "end"};
    auto anchor = static_cast<std::size_t>(style.anchor);
    std::string turn = style.rotation == 0 ? ""
                                           : str(" transform=\"rotate(", number(style.rotation), ' ',
                                                 number(x), ' ', number(y), ")\"");
    body_ += str("<text", attribute("x", x), attribute("y", y), attribute("font-size", style.size),
                 anchor == 0 ? "" : str(" text-anchor=\"", anchors[anchor], '"'), turn,
                 " style=\"fill:", style.colour, style.bold ? ";font-weight:600" : "",
                 style.halo ? str(";paint-order:stroke;stroke:", colour::paper, ";stroke-width:3px") : "",
                 "\">", escape(text), "</text>\n");
}

Html Svg::finish() const {
    return {str("<svg class=\"plot\" role=\"img\" aria-label=\"", title_, "\" viewBox=\"0 0 ", number(width_),
                ' ', number(height_), "\" width=\"", number(width_), "\" height=\"", number(height_),
                "\">\n<title>", title_, "</title>\n", body_, "</svg>\n")};
}

Html responsive(const std::function<Html(double width)>& draw) {
    return {str("<div class=\"on-wide\">", draw(kWide).text, "</div>\n<div class=\"on-narrow\">",
                draw(kNarrow).text, "</div>\n")};
}

}  // namespace microtome::report
