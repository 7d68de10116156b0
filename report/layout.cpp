#include "report/layout.hpp"

#include "report/format.hpp"

#include <algorithm>
#include <numeric>

namespace microtome::report {
namespace {

// In heights of the font, rounded up from DejaVu Sans and Verdana.
double advance(char32_t code) {
    auto one_of = [code](std::string_view set) {
        return code < 0x80 && set.find(static_cast<char>(code)) != std::string_view::npos;
    };
    if (one_of("ijlI|'")) return .31;
    if (one_of(" .,:;!/\\ft()[]-\"")) return .42;
    if (one_of("rJ")) return .46;
    if (one_of("mwMW@%")) return 1.02;
    if (one_of("+=<>~&#")) return .86;
    if (code < 0x80) return code >= 'A' && code <= 'Z' ? .78 : .65;
    bool wide = (code >= 0x1100 && code <= 0x115F) || (code >= 0x2E80 && code <= 0xFFDC) || code >= 0x1F000;
    return wide ? 1.05 : .86;
}

}  // namespace

double text_width(std::string_view text, double size) {
    double width = 0;
    for (char32_t code : code_points(text)) width += advance(code);
    return width * size;
}

std::string shorten(std::string_view text, double width, double size) {
    if (text_width(text, size) <= width) return clean_text(text);
    const std::string ellipsis = "…";
    double room = width - text_width(ellipsis, size);
    std::string kept;
    for (char32_t code : code_points(text)) {
        room -= advance(code) * size;
        if (room < 0) break;
        kept += utf8(code);
    }
    while (!kept.empty() && kept.back() == ' ') kept.pop_back();
    return kept + ellipsis;
}

std::vector<double> spread(const std::vector<double>& wanted, double gap, double low, double high) {
    std::vector<std::size_t> order(wanted.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return wanted[a] < wanted[b]; });

    // Blocks of neighbours that touch. `sum` is of the places their first members would have to take for each
    // member to be where it wants, so that the block's best beginning is the mean of them.
    struct Block {
        std::size_t count;
        double sum, begin;
    };
    std::vector<Block> blocks;
    auto settle = [&](Block& block) {
        double last = high - gap * static_cast<double>(block.count - 1);
        block.begin = std::max(low, std::min(block.sum / static_cast<double>(block.count), last));
    };
    for (std::size_t i : order) {
        blocks.push_back({1, wanted[i], 0});
        settle(blocks.back());
        while (blocks.size() > 1) {
            Block& before = blocks[blocks.size() - 2];
            const Block& last = blocks.back();
            double length = gap * static_cast<double>(before.count);
            if (before.begin + length <= last.begin) break;
            before.sum += last.sum - length * static_cast<double>(last.count);
            before.count += last.count;
            blocks.pop_back();
            settle(blocks.back());
        }
    }
    std::vector<double> places(wanted.size());
    std::size_t next = 0;
    for (const Block& block : blocks)
        for (std::size_t k = 0; k < block.count; ++k)
            places[order[next++]] = block.begin + gap * static_cast<double>(k);
    return places;
}

}  // namespace microtome::report
