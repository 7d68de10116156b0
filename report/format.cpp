#include "report/format.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace microtome::report {
namespace {

constexpr char32_t kReplacement = 0xFFFD;

// The code point that begins at text[at], which moves behind it.
char32_t next_code_point(std::string_view text, std::size_t& at) {
    auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    unsigned char first = byte(at++);
    if (first < 0x80) return first;
    int more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1;
    if (first < 0xC2 || first > 0xF4) return kReplacement;
    char32_t code = first & (0x3F >> more);
    for (int i = 0; i < more; ++i) {
        if (at >= text.size() || (byte(at) & 0xC0) != 0x80) return kReplacement;
        code = code << 6 | (byte(at++) & 0x3F);
    }
    constexpr std::array<char32_t, 4> smallest{0, 0x80, 0x800, 0x10000};
    bool sound = code >= smallest[more] && code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF);
    return sound ? code : kReplacement;
}

bool turns_writing(char32_t code) {
    return code == 0x200E || code == 0x200F || (code >= 0x202A && code <= 0x202E) ||
           (code >= 0x2066 && code <= 0x2069);
}

char32_t harmless(char32_t code) {
    if (code == '\t' || code == '\n' || code == '\r') return ' ';
    bool control = code < 0x20 || (code >= 0x7F && code < 0xA0) || code == 0x2028 || code == 0x2029;
    bool none = code == 0xFFFE || code == 0xFFFF;
    return control || none || turns_writing(code) ? kReplacement : code;
}

std::string digits_text(double x, int decimals) {
    std::array<char, 400> buffer;
    auto result =
        std::to_chars(buffer.data(), buffer.data() + buffer.size(), x, std::chars_format::fixed, decimals);
    return {buffer.data(), result.ptr};
}

bool reads_as_zero(const std::string& digits) {
    return digits.find_first_of("123456789") == std::string::npos;
}

}  // namespace

std::vector<char32_t> code_points(std::string_view text) {
    std::vector<char32_t> result;
    for (std::size_t at = 0; at < text.size();) result.push_back(harmless(next_code_point(text, at)));
    return result;
}

std::string utf8(char32_t code) {
    auto byte = [](char32_t bits) { return static_cast<char>(static_cast<unsigned char>(bits)); };
    if (code < 0x80) return {byte(code)};
    if (code < 0x800) return {byte(0xC0 | code >> 6), byte(0x80 | (code & 0x3F))};
    if (code < 0x10000)
        return {byte(0xE0 | code >> 12), byte(0x80 | (code >> 6 & 0x3F)), byte(0x80 | (code & 0x3F))};
    return {byte(0xF0 | code >> 18), byte(0x80 | (code >> 12 & 0x3F)), byte(0x80 | (code >> 6 & 0x3F)),
            byte(0x80 | (code & 0x3F))};
}

std::string clean_text(std::string_view text) {
    std::string result;
    for (char32_t code : code_points(text)) result += utf8(code);
    return result;
}

std::string escape(std::string_view text) {
    std::string result;
    for (char32_t code : code_points(text)) switch (code) {
            case '&': result += "&amp;"; break;
            case '<': result += "&lt;"; break;
            case '>': result += "&gt;"; break;
            case '"': result += "&quot;"; break;
            case '\'': result += "&#39;"; break;
            default: result += utf8(code);
        }
    return result;
}

std::string fixed_text(double x, int decimals) {
    if (std::isnan(x)) return "–";
    if (std::isinf(x)) return x > 0 ? "∞" : "−∞";
    std::string digits = digits_text(std::abs(x), decimals);
    return x < 0 && !reads_as_zero(digits) ? "−" + digits : digits;
}

std::string number_text(double x, int digits) {
    if (x == 0 || !std::isfinite(x)) return fixed_text(x, 0);
    int before_point = static_cast<int>(std::floor(std::log10(std::abs(x)))) + 1;
    return fixed_text(x, std::clamp(digits - before_point, 0, 12));
}

std::string share_text(double share, int decimals) {
    if (!std::isfinite(share)) return fixed_text(share, decimals);
    double size = std::abs(share);
    std::string digits = digits_text(size, decimals);
    for (int more = decimals + 1; more <= 6 && size > 0 && size < 1; ++more) {
        if (!reads_as_zero(digits) && digits[0] == '0') break;
        digits = digits_text(size, more);
    }
    std::string sign = share < 0 && !reads_as_zero(digits) ? "−" : "";
    return sign + (digits[0] == '0' && digits.size() > 1 ? digits.substr(1) : digits);
}

std::string interval_text(const Share& share) {
    std::string text = share_text(share.value);
    if (std::isnan(share.low) || std::isnan(share.high)) return text;
    return text + " [" + share_text(share.low) + ", " + share_text(share.high) + "]";
}

std::string count_text(int64_t count) {
    std::string digits = std::to_string(count);
    std::size_t first = count < 0 ? 1 : 0;
    for (std::size_t at = digits.size(); at > first + 3;) digits.insert(at -= 3, ",");
    return digits;
}

std::string coordinate_text(double x) {
    std::string digits = digits_text(x, 2);
    if (!std::isfinite(x)) return "0";
    while (digits.back() == '0') digits.pop_back();
    if (digits.back() == '.') digits.pop_back();
    return digits == "-0" ? "0" : digits;
}

}  // namespace microtome::report
