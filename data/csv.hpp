// Tables in comma-separated values (RFC 4180): fields may be quoted, lines may end in CR LF.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace microtome {

struct Csv {
    std::vector<std::string> columns;            // the first line
    std::vector<std::vector<std::string>> rows;  // as many fields each as there are columns

    // The first column that has one of these names, in capitals or not, trying the names in order.
    std::optional<std::size_t> column(std::initializer_list<std::string_view> names) const;
};

// Empty lines are skipped, a byte order mark too. Throws FormatError, naming the line, for a row of another
// length or a quote that does not end, and as read_file() does.
Csv read_csv(const std::string& file);
Csv parse_csv(std::string_view text, const std::string& name);

}  // namespace microtome
