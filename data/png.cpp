#include "data/png.hpp"

#include "base/error.hpp"
#include "data/image.hpp"

#include <cstdint>

namespace microtome {
namespace {

constexpr std::string_view kSignature = "\x89PNG\r\n\x1a\n";
constexpr std::size_t kAroundChunk = 12;  // length, kind, checksum
constexpr std::size_t kHeader = 13;       // width, height, bits a value, colour type and three others
// Deflate's best: 258 bytes from a length and a distance of one bit each (RFC 1951, section 3.2.5).
constexpr uint64_t kMostFromAByte = 258 * 4;

uint8_t byte(std::string_view text, std::size_t at) {
    return static_cast<uint8_t>(text[at]);
}

uint64_t number(std::string_view text, std::size_t at) {
    uint64_t value = 0;
    for (std::size_t i = 0; i < 4; ++i) value = value << 8 | byte(text, at + i);
    return value;
}

uint64_t values_a_pixel(uint8_t colour_type) {
    switch (colour_type) {
        case 2: return 3;
        case 4: return 2;
        case 6: return 4;
        default: return 1;  // grey, a palette's index, or what the decoder will refuse
    }
}

}  // namespace

void require_sound_chunks(std::string_view file, const std::string& name) {
    if (!file.starts_with(kSignature)) return;
    uint64_t pixels = 0, compressed = 0;  // bytes
    for (std::size_t at = kSignature.size(); at < file.size();) {
        const std::string_view rest = file.substr(at);
        if (rest.size() < kAroundChunk)
            throw FormatError(name, "expected a whole image, got one that is cut short");
        const uint64_t length = number(rest, 0);
        const std::string_view kind = rest.substr(4, 4), content = rest.substr(8);
        if (kind == "IHDR" && length == kHeader && content.size() >= kHeader) {
            const uint64_t width = number(content, 0), height = number(content, 4);
            if (width > kMaxImageSide || height > kMaxImageSide)
                throw FormatError(
                    name, str("expected an image of at most ", kMaxImageSide, " pixels a side, got ", width,
                              " x ", height, ", which is too large"));
            pixels = width * height * values_a_pixel(byte(content, 9)) * byte(content, 8) / 8;
        }
        if (length > rest.size() - kAroundChunk)
            throw FormatError(name,
                              str("expected a whole image, got one that is cut short: a chunk of ", length,
                                  " bytes was announced and ", rest.size() - kAroundChunk, " are there"));
        if (kind == "IDAT") compressed += length;
        if (kind == "IEND") break;
        at += kAroundChunk + length;
    }
    if (pixels > kMostFromAByte * compressed)
        throw FormatError(name, str("expected a whole image, got one that is cut short: ", compressed,
                                    " bytes of data can't be ", pixels, " bytes of pixels"));
}

}  // namespace microtome
