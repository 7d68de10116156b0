#include "data/exif.hpp"

#include <cstdint>
#include <optional>

namespace microtome {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kExifMark = "Exif\0\0"sv;
constexpr uint8_t kStartOfImage = 0xd8, kStartOfScan = 0xda, kApplication1 = 0xe1, kFill = 0xff;
constexpr uint64_t kOrientationTag = 0x0112, kShortType = 3, kEntrySize = 12;

std::optional<uint64_t> number(std::string_view bytes, uint64_t at, int size, bool big_end_first) {
    if (at > bytes.size() || bytes.size() - at < static_cast<uint64_t>(size)) return std::nullopt;
    uint64_t value = 0;
    for (int i = 0; i < size; ++i)
        value = value << 8 | static_cast<uint8_t>(bytes[at + (big_end_first ? i : size - 1 - i)]);
    return value;
}

// A TIFF file in small: byte order, 42, where the first directory is; there a count and entries of tag, type,
// how many, value.
int orientation_of(std::string_view tiff) {
    const bool big = tiff.starts_with("MM");
    if (!big && !tiff.starts_with("II")) return 1;
    const auto magic = number(tiff, 2, 2, big), directory = number(tiff, 4, 4, big);
    if (magic != 42 || !directory) return 1;
    const auto entries = number(tiff, *directory, 2, big);
    for (uint64_t i = 0; entries && i < *entries; ++i) {
        const uint64_t entry = *directory + 2 + i * kEntrySize;
        const auto tag = number(tiff, entry, 2, big), type = number(tiff, entry + 2, 2, big);
        const auto count = number(tiff, entry + 4, 4, big), value = number(tiff, entry + 8, 2, big);
        if (!value) return 1;  // cut short
        if (tag == kOrientationTag)
            return type == kShortType && count == 1 && *value >= 1 && *value <= 8 ? static_cast<int>(*value)
                                                                                  : 1;
    }
    return 1;
}

}  // namespace

int exif_orientation(std::string_view file) {
    if (file.size() < 2 || static_cast<uint8_t>(file[0]) != kFill ||
        static_cast<uint8_t>(file[1]) != kStartOfImage)
        return 1;
    // Segments: 0xff, which one, its length with the length's two bytes.
    std::size_t at = 2;
    while (at + 4 <= file.size() && static_cast<uint8_t>(file[at]) == kFill) {
        const auto kind = static_cast<uint8_t>(file[at + 1]);
        if (kind == kFill) {
            ++at;
            continue;
        }
        if (kind == kStartOfScan) return 1;
        const uint64_t length = *number(file, at + 2, 2, true);
        if (length < 2 || length > file.size() - at - 2) return 1;
        const std::string_view content = file.substr(at + 4, length - 2);
        if (kind == kApplication1 && content.starts_with(kExifMark))
            return orientation_of(content.substr(kExifMark.size()));
        at += 2 + length;
    }
    return 1;
}

}  // namespace microtome
