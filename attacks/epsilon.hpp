// How far an attack may go, as people write it: 8/255 or 0.03, in units of images in [0, 1].
#pragma once

#include <string>
#include <string_view>

namespace microtome {

// "8/255", "0.25/255", "0.03", "1e-3". Throws OptionsError for what is not such a number, or negative, or not
// finite.
double parse_epsilon(std::string_view text);

// Both ways, the likelier first: "8/255 (0.031373)" where it is a whole number, a half or a quarter of grey
// levels, else "0.05 (12.75/255)".
std::string epsilon_text(double epsilon);

}  // namespace microtome
