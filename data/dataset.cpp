#include "data/dataset.hpp"

#include "base/letters.hpp"

namespace microtome {

std::string part_named(std::string_view name) {
    const std::string lower = lower_case(name);
    if (lower == "train" || lower == "training") return "train";
    if (lower == "val" || lower == "valid" || lower == "validation") return "val";
    if (lower == "test" || lower == "testing") return "test";
    return "";
}

}  // namespace microtome
