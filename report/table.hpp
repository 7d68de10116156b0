// Tables, once, for the console, for pages and for files.
#pragma once

#include "report/format.hpp"

#include <string>
#include <vector>

namespace microtome::report {

enum class Tone { plain, good, bad, caution };

struct Cell {
    std::string text{};
    std::string aside{};  // small, behind the text: the interval of a share
    Tone tone = Tone::plain;
    bool strong = false;

    Cell() = default;
    Cell(std::string words) : text(std::move(words)) {}
    Cell(const char* words) : text(words) {}
    Cell(std::string words, Tone in_tone)
        : text(std::move(words)), tone(in_tone), strong(in_tone != Tone::plain) {}
    Cell(const Share& share);  // ".93", "[.90, .95]"
};

struct Column {
    std::string title;
    bool number = false;  // set to the right, in digits of equal width
};

struct Table {
    std::string caption{};
    std::vector<Column> columns{};
    std::vector<std::vector<Cell>> rows{};  // the first cell of a row is its name

    void add(std::vector<Cell> row) { rows.push_back(std::move(row)); }
};

// How many places a terminal takes for the text: two for East Asian letters.
int terminal_width(std::string_view text);

struct ConsoleOptions {
    bool colour = false;
    // Colour where standard output is a terminal, TERM is not "dumb" and NO_COLOR is not set or empty.
    static ConsoleOptions detect();
};

// Columns two spaces apart, numbers to the right, a rule under the titles. Rows that lack cells end early;
// cells beyond the last column are left out.
std::string console_text(const Table& table, const ConsoleOptions& options = {});

// The same as Markdown, and as comma-separated values (RFC 4180; an aside follows its text after a space).
std::string markdown_text(const Table& table);
std::string csv_text(const Table& table);

}  // namespace microtome::report
