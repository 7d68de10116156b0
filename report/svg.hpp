// Drawings as inline SVG. Colours are the page's CSS variables, each with a fallback, so that one drawing
// serves light, dark and paper; text is set in the page's font at its natural size, so a drawing is made for
// the width it will have, and never scaled to a phone's.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace microtome::report {

// A piece of HTML that is fit to stand in a page: all text in it has been escaped. Made by the functions of
// report/ only; text from elsewhere is a std::string, and does not become this by accident.
struct Html {
    std::string text{};
};

namespace colour {
inline constexpr std::string_view ink = "var(--ink,#1c1e21)";      // text and what is to be read first
inline constexpr std::string_view muted = "var(--muted,#5b6067)";  // labels of axes, notes
inline constexpr std::string_view line = "var(--line,#dcd8cf)";    // grids
inline constexpr std::string_view paper = "var(--paper,#fff)";
inline constexpr std::string_view good = "var(--good,#00704f)";
inline constexpr std::string_view bad = "var(--bad,#b8400e)";
}  // namespace colour

// One of six colours that colour-blind readers tell apart, after Okabe and Ito (2008); a seventh is the first
// again. Marks differ in shape as well.
std::string_view series_colour(std::size_t index);

enum class Anchor { start, middle, end };

struct TextStyle {
    double size = 12;
    Anchor anchor = Anchor::start;
    std::string_view colour = colour::ink;
    bool bold = false;
    bool halo = false;    // a rim in the paper's colour, for text that lies on lines
    double rotation = 0;  // degrees clockwise about (x, y)
};

struct Stroke {
    std::string_view colour = colour::ink;
    double width = 1;
    bool dashed = false;
    double opacity = 1;
};

struct Fill {
    std::string_view colour = colour::ink;
    double opacity = 1;
};

// Coordinates are CSS pixels from the upper left corner. `tip` is what a pointer resting there shows.
class Svg {
  public:
    // title: what is drawn, also for those who cannot see it.
    Svg(double width, double height, std::string_view title);

    double width() const { return width_; }
    double height() const { return height_; }

    void line(double x1, double y1, double x2, double y2, const Stroke& stroke);
    void rect(double x, double y, double width, double height, const Fill& fill, std::string_view tip = "",
              double corner = 0);
    void frame(double x, double y, double width, double height, const Stroke& stroke, double corner = 0);
    // data: the commands of an SVG path.
    void path(std::string_view data, const Stroke& stroke);
    void area(std::string_view data, const Fill& fill);
    // A circle, square, diamond, triangle and so on, by index; hollow ones are filled with paper.
    void mark(std::size_t shape, double x, double y, double radius, std::string_view colour,
              bool hollow = false, std::string_view tip = "");
    void text(double x, double y, std::string_view text, const TextStyle& style);

    Html finish() const;

  private:
    void close(std::string_view element, std::string_view tip);

    double width_, height_;
    std::string title_;
    std::string body_;
};

// The drawing at two widths, of which a page shows the one that fits: 680 on desktops and paper, 340 on
// phones.
Html responsive(const std::function<Html(double width)>& draw);

inline constexpr double kWide = 680;
inline constexpr double kNarrow = 340;

}  // namespace microtome::report
