#include "attacks/epsilon.hpp"

#include "base/error.hpp"

#include <charconv>
#include <cmath>
#include <optional>

namespace microtome {
namespace {

std::optional<double> number(std::string_view text) {
    double value = 0;
    const char* end = text.data() + text.size();
    auto [stop, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc() || stop != end || !std::isfinite(value) || std::signbit(value))
        return std::nullopt;
    return value;
}

std::string short_text(double value) {
    char text[32];
    auto end = std::to_chars(text, text + sizeof text, value, std::chars_format::general, 5).ptr;
    return {text, end};
}

}  // namespace

double parse_epsilon(std::string_view text) {
    auto refuse = [&](std::string_view hint) {
        throw OptionsError(
            "epsilon", str("expected a number of 0 or more, or a fraction of two, got \"", text, "\""), hint);
    };
    const auto slash = text.find('/');
    const auto above = number(text.substr(0, slash));
    if (!above) refuse("write 8/255 or 0.03");
    if (slash == std::string_view::npos) return *above;
    const auto below = number(text.substr(slash + 1));
    if (!below) refuse("write 8/255 or 0.03");
    if (*below == 0 || !std::isfinite(*above / *below)) refuse("the number below the line is too small");
    return *above / *below;
}

std::string epsilon_text(double epsilon) {
    const double levels = epsilon * 255, whole = std::round(levels * 4) / 4;
    const bool usual = whole == std::round(whole) || whole == 0.25 || whole == 0.5;
    if (usual && whole > 0 && std::abs(levels - whole) <= 1e-9 * whole)
        return str(short_text(whole), "/255 (", short_text(epsilon), ")");
    return str(short_text(epsilon), " (", short_text(levels), "/255)");
}

}  // namespace microtome
