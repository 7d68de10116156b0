#include "data/jpeg.hpp"

#include "base/error.hpp"

#include <cstdint>

namespace microtome {
namespace {

constexpr uint8_t kMark = 0xff, kEndOfImage = 0xd9, kHuffmanTables = 0xc4;
constexpr std::size_t kLengths = 16, kMostCodes = 256;

uint8_t byte(std::string_view text, std::size_t at) {
    return static_cast<uint8_t>(text[at]);
}

// Marks without a segment behind them: stuffing, restarts and the two ends.
bool stands_alone(uint8_t kind) {
    return kind == 0 || kind == 1 || (kind >= 0xd0 && kind <= kEndOfImage);
}

// Tables one after another: class and number in a byte, how many codes there are of each length, their
// values.
void require_sound(std::string_view tables, const std::string& name) {
    while (!tables.empty()) {
        if (tables.size() < 1 + kLengths)
            throw FormatError(name, "expected a whole Huffman table in the JPEG file");
        std::size_t codes = 0, free = 1;  // of each length so far, those that no shorter code begins
        bool sound = true;
        for (std::size_t length = 1; length <= kLengths; ++length) {
            const std::size_t count = byte(tables, length);
            codes += count;
            free = 2 * free;
            sound &= count <= free;
            free -= sound ? count : 0;
        }
        if (!sound || codes > kMostCodes)
            throw FormatError(
                name, str("expected a sound Huffman table in the JPEG file, got one of ", codes, " codes"),
                "the file is damaged");
        if (codes > tables.size() - 1 - kLengths)
            throw FormatError(name, "expected a whole Huffman table in the JPEG file");
        tables.remove_prefix(1 + kLengths + codes);
    }
}

}  // namespace

void require_sound_huffman_tables(std::string_view file, const std::string& name) {
    if (file.empty() || byte(file, 0) != kMark) return;
    // From mark to mark. Between segments decoders pass over what is none, and scans have marks only where
    // they end.
    std::size_t at = 0;
    while ((at = file.find(static_cast<char>(kMark), at)) < file.size() - 1) {
        const uint8_t kind = byte(file, ++at);
        if (kind == kMark) continue;  // marks may be stretched
        ++at;
        if (stands_alone(kind)) continue;
        if (file.size() - at < 2) return;
        const std::size_t length = std::size_t{byte(file, at)} << 8 | byte(file, at + 1);
        if (length < 2) return;
        const std::string_view content = file.substr(at + 2, length - 2);
        if (kind == kHuffmanTables) require_sound(content, name);
        at += length;
    }
}

}  // namespace microtome
