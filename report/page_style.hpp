// How a page looks.
#pragma once

namespace microtome::report {

extern const char* const kPageStyle;

}  // namespace microtome::report
