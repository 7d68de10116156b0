// Names of modules and parameters are dotted paths; a pattern picks some of them.
#pragma once

#include <string_view>

namespace microtome {

// Whether the pattern, in which * stands for any characters and ? for one, covers the path or a leading part
// of it that ends at a dot: "layer1" covers "layer1.0.conv1.weight" but not "layer10.weight"; "*" covers all.
bool matches(std::string_view pattern, std::string_view path);

}  // namespace microtome
