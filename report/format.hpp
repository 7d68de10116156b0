// How the reports write numbers, and how they write text that came from outside.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace microtome::report {

// A share of n images, an accuracy for instance, with its 95 % interval. Whoever measured it also computed
// the interval; here nothing is computed.
struct Share {
    double value = std::numeric_limits<double>::quiet_NaN();
    double low = std::numeric_limits<double>::quiet_NaN();  // NaN: no interval
    double high = std::numeric_limits<double>::quiet_NaN();
    int64_t n = 0;  // 0: not said
};

// Valid UTF-8 on one line: bytes that are not, control characters and those that reverse the direction of
// writing become U+FFFD; tabs and line breaks become spaces. Names of files and classes come from strangers.
std::string clean_text(std::string_view text);

// clean_text() as HTML text or the value of an attribute.
std::string escape(std::string_view text);

// The code points of clean_text(text).
std::vector<char32_t> code_points(std::string_view text);
std::string utf8(char32_t code_point);

// x with so many decimals, never in exponent form: -0.50 as "−0.50" (U+2212). NaN is an en dash.
std::string fixed_text(double x, int decimals);

// At least this many significant digits, of integers all: 0.0312, 2.00, 1234.
std::string number_text(double x, int digits = 3);

// .93, 1.00. A share other than 0 and 1 gets as many decimals as it takes not to read as one of them, up to
// six: 499 of 500 is .998, not 1.00.
std::string share_text(double share, int decimals = 2);

// ".93 [.90, .95]", or ".93" without an interval.
std::string interval_text(const Share& share);

// 25,000.
std::string count_text(int64_t count);

// The fewest digits that are exact for what plots need as coordinates: 12, 0.5, 3.14.
std::string coordinate_text(double x);

}  // namespace microtome::report
