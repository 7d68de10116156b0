#include "data/jpeg.hpp"

#include "base/error.hpp"

#include <algorithm>
#include <cstdint>

namespace microtome {
namespace {

constexpr uint8_t kMark = 0xff, kEndOfImage = 0xd9, kHuffmanTables = 0xc4;
constexpr uint8_t kFirstFrame = 0xc0, kLastFrame = 0xc2;  // baseline, extended, progressive
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

// Sizes in a frame's header (T.81, section B.2.2), and that every block of 8 x 8 values takes a bit at least:
// the code of its mean.
void require_enough_data(std::string_view frame, std::size_t file_size, const std::string& name) {
    constexpr std::size_t kBefore = 6, kOfComponent = 3;
    if (frame.size() < kBefore) return;
    const std::size_t height = std::size_t{byte(frame, 1)} << 8 | byte(frame, 2);
    const std::size_t width = std::size_t{byte(frame, 3)} << 8 | byte(frame, 4);
    const std::size_t components = byte(frame, 5);
    if (frame.size() < kBefore + kOfComponent * components) return;
    std::size_t most_across = 1, most_down = 1;
    auto across = [&](std::size_t c) { return byte(frame, kBefore + kOfComponent * c + 1) >> 4; };
    auto down = [&](std::size_t c) { return byte(frame, kBefore + kOfComponent * c + 1) & 15; };
    for (std::size_t c = 0; c < components; ++c) {
        most_across = std::max<std::size_t>(most_across, across(c));
        most_down = std::max<std::size_t>(most_down, down(c));
    }
    auto blocks_along = [](std::size_t pixels, std::size_t samples, std::size_t most) {
        return (pixels * samples + 8 * most - 1) / (8 * most);
    };
    std::size_t blocks = 0;
    for (std::size_t c = 0; c < components; ++c)
        blocks += blocks_along(width, across(c), most_across) * blocks_along(height, down(c), most_down);
    if (blocks > 8 * file_size)
        throw FormatError(name, str("expected a whole image, got one that is cut short: ", file_size,
                                    " bytes can't be ", width, " x ", height, " pixels, or it is too large"));
}

}  // namespace

void require_sound_jpeg(std::string_view file, const std::string& name) {
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
        if (kind >= kFirstFrame && kind <= kLastFrame) require_enough_data(content, file.size(), name);
        at += length;
    }
}

}  // namespace microtome
