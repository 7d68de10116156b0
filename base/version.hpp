// The version of microtome. CMake reads it from here.
#pragma once

namespace microtome {

inline constexpr const char* kVersion = "0.1.0";

}  // namespace microtome
