#include "report/table.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <unistd.h>

namespace microtome::report {
namespace {

std::string whole(const Cell& cell) {
    return clean_text(cell.aside.empty() ? cell.text : cell.text + " " + cell.aside);
}

std::string_view paint(Tone tone) {
    switch (tone) {
        case Tone::good: return "\033[32m";
        case Tone::bad: return "\033[1;31m";
        case Tone::caution: return "\033[33m";
        case Tone::plain: break;
    }
    return "\033[1m";
}

std::string padding(int places) {
    return std::string(static_cast<std::size_t>(std::max(places, 0)), ' ');
}

}  // namespace

Cell::Cell(const Share& share) : text(share_text(share.value)) {
    if (!std::isnan(share.low) && !std::isnan(share.high))
        aside = "[" + share_text(share.low) + ", " + share_text(share.high) + "]";
}

int terminal_width(std::string_view text) {
    int width = 0;
    for (char32_t code : code_points(text)) {
        bool joins = (code >= 0x300 && code <= 0x36F) || code == 0x200D || (code >= 0xFE00 && code <= 0xFE0F);
        bool wide = (code >= 0x1100 && code <= 0x115F) || (code >= 0x2E80 && code <= 0xA4CF) ||
                    (code >= 0xAC00 && code <= 0xD7A3) || (code >= 0xF900 && code <= 0xFAFF) ||
                    (code >= 0xFE30 && code <= 0xFE6F) || (code >= 0xFF00 && code <= 0xFF60) ||
                    (code >= 0x1F300 && code <= 0x1FAFF) || (code >= 0x20000 && code <= 0x3FFFD);
        width += joins ? 0 : wide ? 2 : 1;
    }
    return width;
}

ConsoleOptions ConsoleOptions::detect() {
    auto environment = [](const char* name) -> std::string_view {
        const char* value = std::getenv(name);
        return value ? value : "";
    };
    ConsoleOptions options;
    options.colour =
        ::isatty(STDOUT_FILENO) == 1 && environment("TERM") != "dumb" && environment("NO_COLOR").empty();
    return options;
}

std::string console_text(const Table& table, const ConsoleOptions& options) {
    std::vector<int> widths;
    for (const Column& column : table.columns) widths.push_back(terminal_width(column.title));
    for (const auto& row : table.rows)
        for (std::size_t i = 0; i < std::min(row.size(), widths.size()); ++i)
            widths[i] = std::max(widths[i], terminal_width(whole(row[i])));

    std::string out;
    auto put = [&](const std::string& words, std::size_t i, std::string_view before, std::string_view after) {
        int room = widths[i] - terminal_width(words);
        bool number = table.columns[i].number;
        out += str(i > 0 ? "  " : "", number ? padding(room) : "", before, words, after,
                   number ? "" : padding(room));
    };
    auto end_line = [&] {
        while (!out.empty() && out.back() == ' ') out.pop_back();
        out += '\n';
    };
    if (!table.caption.empty()) out += clean_text(table.caption) + "\n";
    for (std::size_t i = 0; i < widths.size(); ++i) put(clean_text(table.columns[i].title), i, "", "");
    end_line();
    for (std::size_t i = 0; i < widths.size(); ++i) {
        if (i > 0) out += "  ";
        for (int k = 0; k < widths[i]; ++k) out += "─";
    }
    end_line();
    for (const auto& row : table.rows) {
        for (std::size_t i = 0; i < std::min(row.size(), widths.size()); ++i) {
            bool painted = options.colour && (row[i].strong || row[i].tone != Tone::plain);
            put(whole(row[i]), i, painted ? paint(row[i].tone) : "", painted ? "\033[0m" : "");
        }
        end_line();
    }
    return out;
}

std::string markdown_text(const Table& table) {
    auto safe = [](const std::string& words) {
        std::string result;
        for (char letter : words) switch (letter) {
                case '|':
                case '\\':
                case '`':
                case '*':
                case '[':
                case ']':
                    result += '\\';
                    result += letter;
                    break;
                case '<': result += "&lt;"; break;
                case '&': result += "&amp;"; break;
                default: result += letter;
            }
        return result;
    };
    std::string out = table.caption.empty() ? "" : safe(clean_text(table.caption)) + "\n\n";
    std::string rule = "|";
    out += '|';
    for (const Column& column : table.columns) {
        out += str(' ', safe(clean_text(column.title)), " |");
        rule += column.number ? " ---: |" : " --- |";
    }
    out += '\n' + rule + '\n';
    for (const auto& row : table.rows) {
        out += '|';
        for (std::size_t i = 0; i < table.columns.size(); ++i)
            out += str(' ', i < row.size() ? safe(whole(row[i])) : "", " |");
        out += '\n';
    }
    return out;
}

std::string csv_text(const Table& table) {
    auto field = [](const std::string& words) {
        if (words.find_first_of(",\"") == std::string::npos) return words;
        std::string quoted = "\"";
        for (char letter : words) quoted += letter == '"' ? "\"\"" : std::string(1, letter);
        return quoted + '"';
    };
    std::string out;
    for (std::size_t i = 0; i < table.columns.size(); ++i)
        out += str(i > 0 ? "," : "", field(clean_text(table.columns[i].title)));
    out += '\n';
    for (const auto& row : table.rows) {
        for (std::size_t i = 0; i < table.columns.size(); ++i)
            out += str(i > 0 ? "," : "", i < row.size() ? field(whole(row[i])) : "");
        out += '\n';
    }
    return out;
}

}  // namespace microtome::report
