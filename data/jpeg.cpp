#include "data/jpeg.hpp"

#include "base/error.hpp"

#include <algorithm>
#include <bitset>
#include <cstdint>
#include <vector>

namespace microtome {
namespace {

constexpr uint8_t kMark = 0xff, kEndOfImage = 0xd9, kScan = 0xda;
constexpr uint8_t kQuantizationTables = 0xdb, kHuffmanTables = 0xc4;
constexpr uint8_t kFirstFrame = 0xc0, kLastFrame = 0xc2;  // baseline, extended, progressive
constexpr std::size_t kLengths = 16, kMostCodes = 256;
constexpr const char* kDamaged = "the file is damaged";

uint8_t byte(std::string_view text, std::size_t at) {
    return static_cast<uint8_t>(text[at]);
}

// Marks without a segment behind them: stuffing, restarts and the two ends.
bool stands_alone(uint8_t kind) {
    return kind == 0 || kind == 1 || (kind >= 0xd0 && kind <= kEndOfImage);
}

// What the segments of a file have said so far. The decoder refuses segments of a wrong length and numbers
// out of their ranges by itself; they are passed over here.
class Segments {
  public:
    Segments(const std::string& name, std::size_t file_size) : name_(name), file_size_(file_size) {}

    void take(uint8_t kind, std::string_view content) {
        if (kind == kHuffmanTables) huffman_tables(content);
        if (kind == kQuantizationTables) quantization_tables(content);
        if (kind >= kFirstFrame && kind <= kLastFrame && components_.empty())
            frame(content, kind == kLastFrame);
        if (kind == kScan) scan(content);
    }
    void end() { ended_ = true; }
    void require_complete() const {
        for (const Component& component : components_)
            require(component.scanned, "data for all of a JPEG file's colours, got none for one of them");
    }

  private:
    struct Component {
        uint8_t id = 0, quantization = 0;
        bool scanned = false;
    };

    void require(bool holds, const std::string& expected) const {
        if (!holds) throw FormatError(name_, "expected " + expected, kDamaged);
    }

    // One after another (T.81, section B.2.4.2): class and number in a byte, how many codes there are of each
    // length, their values.
    void huffman_tables(std::string_view tables) {
        while (!tables.empty()) {
            require(tables.size() >= 1 + kLengths, "a whole Huffman table in the JPEG file");
            std::size_t codes = 0, free = 1;  // of each length so far, those that no shorter code begins
            bool sound = true;
            for (std::size_t length = 1; length <= kLengths; ++length) {
                const std::size_t count = byte(tables, length);
                codes += count;
                free = 2 * free;
                sound &= count <= free;
                free -= sound ? count : 0;
            }
            require(sound && codes <= kMostCodes,
                    str("a sound Huffman table in the JPEG file, got one of ", codes, " codes"));
            require(codes <= tables.size() - 1 - kLengths, "a whole Huffman table in the JPEG file");
            huffman_.set(byte(tables, 0));
            tables.remove_prefix(1 + kLengths + codes);
        }
    }

    // Size of numbers and table's number in a byte, 64 numbers (T.81, section B.2.4.1).
    void quantization_tables(std::string_view tables) {
        while (!tables.empty()) {
            const std::size_t size = 1 + 64 * (byte(tables, 0) < 16 ? 1 : 2);
            require(tables.size() >= size, "a whole quantization table in the JPEG file");
            quantization_.set(byte(tables, 0) & 15);
            tables.remove_prefix(size);
        }
    }

    // Sizes and components (T.81, section B.2.2), and that every block of 8 x 8 values takes a bit at least:
    // the code of its mean.
    void frame(std::string_view content, bool progressive) {
        constexpr std::size_t kBefore = 6, kOfComponent = 3;
        if (content.size() < kBefore) return;
        const std::size_t height = std::size_t{byte(content, 1)} << 8 | byte(content, 2);
        const std::size_t width = std::size_t{byte(content, 3)} << 8 | byte(content, 4);
        const std::size_t components = byte(content, 5);
        if (content.size() < kBefore + kOfComponent * components) return;
        progressive_ = progressive;
        std::size_t most_across = 1, most_down = 1;
        auto across = [&](std::size_t c) { return byte(content, kBefore + kOfComponent * c + 1) >> 4; };
        auto down = [&](std::size_t c) { return byte(content, kBefore + kOfComponent * c + 1) & 15; };
        for (std::size_t c = 0; c < components; ++c) {
            most_across = std::max<std::size_t>(most_across, across(c));
            most_down = std::max<std::size_t>(most_down, down(c));
            components_.push_back(
                {byte(content, kBefore + kOfComponent * c), byte(content, kBefore + kOfComponent * c + 2)});
        }
        auto blocks_along = [](std::size_t pixels, std::size_t samples, std::size_t most) {
            return (pixels * samples + 8 * most - 1) / (8 * most);
        };
        std::size_t blocks = 0;
        for (std::size_t c = 0; c < components; ++c)
            blocks += blocks_along(width, across(c), most_across) * blocks_along(height, down(c), most_down);
        if (blocks > 8 * file_size_)
            throw FormatError(name_,
                              str("expected a whole image, got one that is cut short: ", file_size_,
                                  " bytes can't be ", width, " x ", height, " pixels, or it is too large"));
    }

    // Components and their tables, then which coefficients they are of (T.81, section B.2.3). The decoder
    // reads tables that never came from wherever its memory was last used for something else.
    void scan(std::string_view content) {
        if (content.empty() || ended_) return;
        const std::size_t components = byte(content, 0);
        if (content.size() != 4 + 2 * components) return;
        const uint8_t first = byte(content, 1 + 2 * components),
                      refined = byte(content, 3 + 2 * components) >> 4;
        for (std::size_t c = 0; c < components; ++c) {
            const uint8_t id = byte(content, 1 + 2 * c), tables = byte(content, 2 + 2 * c);
            const auto component = std::find_if(components_.begin(), components_.end(),
                                                [&](const Component& one) { return one.id == id; });
            if (component == components_.end()) return;
            component->scanned = true;
            const bool means = !progressive_ || (first == 0 && refined == 0);
            const bool others = !progressive_ || first > 0;
            const std::size_t of_means = tables >> 4, of_others = 16 + (tables & 15);
            require((!means || huffman_.test(of_means)) && (!others || huffman_.test(of_others)),
                    "the Huffman tables of a JPEG file's scan before it, got none");
            require(quantization_.test(component->quantization & 15),
                    "the quantization tables of a JPEG file's scan before it, got none");
        }
    }

    const std::string& name_;
    std::size_t file_size_;
    std::bitset<256> huffman_;  // by class (0: means, 1: others) and number
    std::bitset<16> quantization_;
    bool progressive_ = false, ended_ = false;
    std::vector<Component> components_;
};

}  // namespace

void require_sound_jpeg(std::string_view file, const std::string& name) {
    if (file.empty() || byte(file, 0) != kMark) return;
    // From mark to mark. Between segments decoders pass over what is none, and scans have marks only where
    // they end.
    Segments segments(name, file.size());
    std::size_t at = 0;
    while ((at = file.find(static_cast<char>(kMark), at)) < file.size() - 1) {
        const uint8_t kind = byte(file, ++at);
        if (kind == kMark) continue;  // marks may be stretched
        ++at;
        if (kind == kEndOfImage) segments.end();
        if (stands_alone(kind)) continue;
        if (file.size() - at < 2) break;
        const std::size_t length = std::size_t{byte(file, at)} << 8 | byte(file, at + 1);
        if (length < 2) break;
        segments.take(kind, file.substr(at + 2, length - 2));
        at += length;
    }
    segments.require_complete();
}

}  // namespace microtome
