// str(...): anything printable, one after another, as one string.
#pragma once

#include <sstream>
#include <string>

namespace microtome {

template <class... Parts>
std::string str(const Parts&... parts) {
    std::ostringstream out;
    (out << ... << parts);
    return out.str();
}

}  // namespace microtome
