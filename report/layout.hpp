// Where text goes in a drawing: how wide it is, how it is cut, and how labels make room for one another.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace microtome::report {

// The width of a line of text, in the units of `size`, its font's height. Which font a reader's machine will
// take is unknown, so this is the width in the widest of the usual ones, and never too small.
double text_width(std::string_view text, double size);

// The text, or as much of its beginning as fits, with an ellipsis.
std::string shorten(std::string_view text, double width, double size);

// Places as near the wanted ones as can be, in the same order, `gap` apart, all between low and high as far
// as there is room. Labels that collide form a block, centred on the mean of where its members would be.
std::vector<double> spread(const std::vector<double>& wanted, double gap, double low, double high);

}  // namespace microtome::report
