// "Did you mean ...?" for names that a user mistyped.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace microtome {

// The known name closest to `wrong`: the one that the fewest letters inserted, removed, replaced or swapped
// with their neighbour turn it into (optimal string alignment), the first of several. Empty when none is
// within a third of its length, or two letters.
std::string closest_name(std::string_view wrong, std::span<const std::string> known);

}  // namespace microtome
