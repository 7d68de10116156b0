#include "data/csv.hpp"

#include "base/atomic_file.hpp"
#include "base/error.hpp"
#include "base/letters.hpp"

namespace microtome {
namespace {

constexpr std::size_t kMaxFileBytes = std::size_t{1} << 30;

}  // namespace

std::optional<std::size_t> Csv::column(std::initializer_list<std::string_view> names) const {
    for (std::string_view name : names)
        for (std::size_t i = 0; i < columns.size(); ++i)
            if (lower_case(columns[i]) == name) return i;
    return std::nullopt;
}

Csv read_csv(const std::string& file) {
    return parse_csv(read_file(file, kMaxFileBytes), file);
}

Csv parse_csv(std::string_view text, const std::string& name) {
    if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
    Csv table;
    std::vector<std::string> row;
    std::string field;
    bool quoted = false;
    int64_t line = 1, row_began = 1;
    auto end_row = [&] {
        row.push_back(std::move(field));
        field.clear();
        const bool empty = row.size() == 1 && row[0].empty();
        if (!empty && table.columns.empty()) {
            table.columns = std::move(row);
        } else if (!empty) {
            if (row.size() != table.columns.size())
                throw FormatError(name, str("expected ", table.columns.size(), " fields in line ", row_began,
                                            ", as many as there are columns, got ", row.size()));
            table.rows.push_back(std::move(row));
        }
        row.clear();
    };
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        const bool doubled = i + 1 < text.size() && text[i + 1] == '"';
        if (c == '\n') ++line;
        if (quoted) {
            if (c != '"')
                field += c;
            else if (doubled)
                field += text[i++];  // two quotes are one that belongs to the field
            else
                quoted = false;
        } else if (c == '"') {
            quoted = true;
        } else if (c == ',') {
            row.push_back(std::move(field));
            field.clear();
        } else if (c == '\n') {
            end_row();
            row_began = line;
        } else if (c != '\r') {
            field += c;
        }
    }
    if (quoted)
        throw FormatError(name,
                          str("expected the quote in line ", row_began, " to end, got the end of the file"));
    end_row();
    if (table.columns.empty())
        throw FormatError(name, "expected a line with the columns' names, got nothing");
    return table;
}

}  // namespace microtome
