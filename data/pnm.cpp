#include "data/pnm.hpp"

#include "base/error.hpp"
#include "data/image.hpp"

namespace microtome {
namespace {

constexpr std::size_t kMagic = 2, kMostDigits = 9;  // so that no number of a header is beyond 32 bits
constexpr int64_t kByte = 255, kTwoBytes = 65535;

bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

// Reads the numbers of a header, apart by space and comments, which end with their line.
class Header {
  public:
    Header(std::string_view file, const std::string& name) : file_(file), name_(name), at_(kMagic) {}

    int64_t number(const char* what) {
        const std::size_t before = at_;
        while (more() && (is_space(file_[at_]) || file_[at_] == '#')) {
            if (file_[at_] == '#')
                while (more() && file_[at_] != '\n' && file_[at_] != '\r') ++at_;
            else
                ++at_;
        }
        const std::size_t begin = at_;
        int64_t value = 0;
        while (more() && is_digit(file_[at_]) && at_ - begin <= kMostDigits)
            value = value * 10 + (file_[at_++] - '0');
        if (!more())
            throw FormatError(name_, str("expected a whole image, got one that is cut short: ", what));
        if (begin == before || at_ == begin)
            throw FormatError(name_, str("expected a number in the header of a PGM or PPM image: ", what));
        if (at_ - begin > kMostDigits)
            throw FormatError(name_, str("expected at most ", kMostDigits,
                                         " digits in the header of a PGM or PPM "
                                         "image, got more: ",
                                         what));
        return value;
    }

    // One character of space is between the last number and the pixels, which may look like space themselves.
    std::string_view pixels() {
        if (!is_space(file_[at_]))
            throw FormatError(name_,
                              "expected space between the header and the pixels of a PGM or PPM image");
        return file_.substr(at_ + 1);
    }

  private:
    bool more() const { return at_ < file_.size(); }

    std::string_view file_;
    const std::string& name_;
    std::size_t at_;
};

}  // namespace

bool looks_like_pnm(std::string_view file) {
    return file.starts_with("P5") || file.starts_with("P6");
}

Tensor decode_pnm(std::string_view file, const std::string& name) {
    if (!looks_like_pnm(file)) throw FormatError(name, "expected a binary PGM or PPM image");
    Header header(file, name);
    const int64_t width = header.number("the width"), height = header.number("the height");
    const int64_t largest = header.number("the largest value");
    const std::string_view pixels = header.pixels();
    if (width < 1 || height < 1)
        throw FormatError(name, str("expected at least one pixel, got ", width, " x ", height));
    if (width > kMaxImageSide || height > kMaxImageSide)
        throw FormatError(name, str("expected an image of at most ", kMaxImageSide, " pixels a side, got ",
                                    width, " x ", height, ", which is too large"));
    if (largest != kByte && largest != kTwoBytes)
        throw FormatError(name,
                          str("expected values up to ", kByte, " or ", kTwoBytes, ", got up to ", largest),
                          "write the image with 8 bits a value");

    const int64_t channels = file[1] == '6' ? 3 : 1;
    const auto elements = static_cast<std::size_t>(width * height * channels);
    const std::size_t bytes = largest == kTwoBytes ? 2 : 1;  // the upper one first
    if (pixels.size() < elements * bytes)
        throw FormatError(name, str("expected a whole image, got one that is cut short: ", elements * bytes,
                                    " bytes of pixels were announced and ", pixels.size(), " are there"));
    Tensor image(Spec{{height, width, channels}, Dtype::u8, kCpu});
    std::span<uint8_t> to = image.mutable_data<uint8_t>();
    for (std::size_t i = 0; i < elements; ++i) to[i] = static_cast<uint8_t>(pixels[i * bytes]);
    return image;
}

}  // namespace microtome
