#include "data/image.hpp"

#include "base/atomic_file.hpp"
#include "base/error.hpp"
#include "data/exif.hpp"
#include "data/jpeg.hpp"
#include "data/orientation.hpp"
#include "data/png.hpp"
#include "data/pnm.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <new>

namespace microtome {
namespace {

// A decoder that finds itself in a state it holds for impossible has met a hostile file, which is no reason
// to end the program.
[[noreturn]] void refuse_file() {
    throw FormatError("image", "expected a sound image, got one that confuses its decoder");
}

// Of a PNG chunk without content the decoder copies nothing to nowhere, for which memcpy is not made.
void* copy_bytes(void* to, const void* from, std::size_t size) {
    return size == 0 ? to : std::memcpy(to, from, size);
}

}  // namespace
}  // namespace microtome

// stb_image and stb_image_write (Sean Barrett, public domain), with nothing in them but what we read and
// write, and private to this file: whoever links us may have stb of their own.
#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#define STBI_ONLY_BMP
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_FAILURE_USERMSG
#define STBI_MAX_DIMENSIONS microtome::kMaxImageSide
#define STBI_ASSERT(condition) ((condition) ? static_cast<void>(0) : microtome::refuse_file())
#define memcpy microtome::copy_bytes
#include <stb/stb_image.h>
#undef memcpy
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#define STBI_WRITE_NO_STDIO
#include <stb/stb_image_write.h>

namespace microtome {
namespace {

constexpr std::size_t kMaxFileBytes = std::size_t{1} << 30;

// Hands the bytes of a file to the decoder, and notices when it asks for more than there are: stb itself
// would go on with zeros, or with whatever was in memory.
class Stream {
  public:
    explicit Stream(std::string_view rest) : rest_(rest) {}
    bool starved() const { return starved_; }

    static int read(void* self, char* out, int size) { return static_cast<Stream*>(self)->read(out, size); }
    static void skip(void* self, int size) { static_cast<Stream*>(self)->skip(size); }
    static int at_end(void* self) { return static_cast<Stream*>(self)->rest_.empty(); }

  private:
    int read(char* out, int size) {
        // stb's first request fills a buffer of its own, which it refills as far as the file goes. Any other
        // request is for pixels, and must be met in full.
        if (!buffer_) buffer_ = out;
        auto count = std::min(static_cast<std::size_t>(size), rest_.size());
        if (count == 0 || (out != buffer_ && count < static_cast<std::size_t>(size))) starved_ = true;
        std::memcpy(out, rest_.data(), count);
        rest_.remove_prefix(count);
        return static_cast<int>(count);
    }
    void skip(int size) {
        auto count = static_cast<std::size_t>(std::max(size, 0));
        if (count > rest_.size()) starved_ = true;
        rest_.remove_prefix(std::min(count, rest_.size()));
    }

    std::string_view rest_;
    const char* buffer_ = nullptr;
    bool starved_ = false;
};

struct FreePixels {
    void operator()(stbi_uc* pixels) const { stbi_image_free(pixels); }
};

// (H,W,C) as bytes 0 to 255.
Tensor quantize(const Tensor& image) {
    if (image.dtype() == Dtype::u8) return image;
    if (image.dtype() != Dtype::f32)
        throw DtypeError("encode_png", str("expected f32 or u8, got ", image.dtype()), "cast() converts");
    Tensor result(Spec{image.shape(), Dtype::u8, kCpu});
    std::span<const float> from = image.data<float>();
    std::span<uint8_t> to = result.mutable_data<uint8_t>();
    for (std::size_t i = 0; i < from.size(); ++i) {
        if (!(from[i] >= 0 && from[i] <= 1))
            throw OptionsError("encode_png", str("expected values in [0,1], got ", from[i]),
                               "rescale or clamp first: what a picture shows is for the caller to decide");
        to[i] = static_cast<uint8_t>(std::rint(from[i] * 255));
    }
    return result;
}

}  // namespace

Tensor read_image(const std::string& path) {
    return decode_image(read_file(path, kMaxFileBytes), path);
}

Tensor decode_image(std::string_view bytes, const std::string& name) {
    if (bytes.empty()) throw FormatError(name, "expected an image, got an empty file");
    if (looks_like_pnm(bytes)) return decode_pnm(bytes, name);
    require_sound_jpeg(bytes, name);
    require_sound_chunks(bytes, name);
    Stream stream(bytes);
    const stbi_io_callbacks callbacks{Stream::read, Stream::skip, Stream::at_end};
    int width = 0, height = 0, channels = 0;
    std::unique_ptr<stbi_uc, FreePixels> pixels(
        stbi_load_from_callbacks(&callbacks, &stream, &width, &height, &channels, 0));
    if (stream.starved()) throw FormatError(name, "expected a whole image, got one that is cut short");
    if (!pixels)
        throw FormatError(name, str("expected a JPEG, PNG, BMP, PGM or PPM image of at most ", kMaxImageSide,
                                    " pixels a side: ", stbi_failure_reason()));

    if (width < 1 || height < 1)
        throw FormatError(name, str("expected at least one pixel, got ", width, " x ", height));

    int kept = channels <= 2 ? 1 : 3;  // the second of two and the fourth of four are alpha
    Tensor image(Spec{{height, width, kept}, Dtype::u8, kCpu});
    const stbi_uc* from = pixels.get();
    std::span<uint8_t> to = image.mutable_data<uint8_t>();
    for (std::size_t i = 0; i < to.size(); i += kept, from += channels) std::copy_n(from, kept, &to[i]);
    return upright(image, exif_orientation(bytes));
}

namespace {

void require_picture(const char* what, const Shape& shape) {
    auto fits = [](int64_t size) { return size >= 1 && size <= kMaxImageSide; };
    if (shape.rank() != 3 || !fits(shape[0]) || !fits(shape[1]) || (shape[2] != 1 && shape[2] != 3))
        throw ShapeError(
            what, str("expected (H,W,1) or (H,W,3), 1 to ", kMaxImageSide, " pixels a side, got ", shape),
            "one image at a time: slice() a batch first");
}

void append_bytes(void* to, void* data, int size) {
    static_cast<std::string*>(to)->append(static_cast<const char*>(data), static_cast<std::size_t>(size));
}

}  // namespace

std::string encode_png(const Tensor& image) {
    const Shape& shape = image.shape();
    require_picture("encode_png", shape);
    Tensor bytes = quantize(image);
    auto height = static_cast<int>(shape[0]), width = static_cast<int>(shape[1]);
    auto channels = static_cast<int>(shape[2]);
    std::string file;
    const uint8_t* pixels = bytes.data<uint8_t>().data();
    if (!stbi_write_png_to_func(append_bytes, &file, width, height, channels, pixels, width * channels))
        throw std::bad_alloc();
    return file;
}

std::string encode_jpeg(const Tensor& image, int quality) {
    const Shape& shape = image.shape();
    require_picture("encode_jpeg", shape);
    if (quality < 1 || quality > 100)
        throw OptionsError("encode_jpeg", str("expected a quality from 1 to 100, got ", quality));
    Tensor bytes = quantize(image);
    std::string file;
    if (!stbi_write_jpg_to_func(append_bytes, &file, static_cast<int>(shape[1]), static_cast<int>(shape[0]),
                                static_cast<int>(shape[2]), bytes.data<uint8_t>().data(), quality))
        throw std::bad_alloc();
    return file;
}

void write_png(const std::string& path, const Tensor& image) {
    write_file(path, encode_png(image));
}

}  // namespace microtome
