#include "base/suggest.hpp"

#include <algorithm>
#include <vector>

namespace microtome {
namespace {

std::size_t edits(std::string_view from, std::string_view to) {
    // Rows of the table of distances between the prefixes: the one before the last, the last, this one.
    std::vector<std::size_t> older(to.size() + 1), old(to.size() + 1), row(to.size() + 1);
    for (std::size_t j = 0; j <= to.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= from.size(); ++i) {
        std::swap(older, old);
        std::swap(old, row);
        row[0] = i;
        for (std::size_t j = 1; j <= to.size(); ++j) {
            bool same = from[i - 1] == to[j - 1];
            row[j] = std::min({old[j] + 1, row[j - 1] + 1, old[j - 1] + !same});
            if (i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1])
                row[j] = std::min(row[j], older[j - 2] + 1);
        }
    }
    return row[to.size()];
}

}  // namespace

std::string closest_name(std::string_view wrong, std::span<const std::string> known) {
    std::string best;
    std::size_t fewest = std::max<std::size_t>(wrong.size() / 3, 2) + 1;
    for (const std::string& name : known) {
        std::size_t count = edits(wrong, name);
        if (count >= fewest || count >= name.size()) continue;
        best = name;
        fewest = count;
    }
    return best;
}

}  // namespace microtome
