#include "data/image.hpp"

#include "base/atomic_file.hpp"
#include "base/error.hpp"
#include "tests/scratch_folder.hpp"

#include <catch2/catch.hpp>
#include <limits>

#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#include <stb/stb_image_write.h>

using namespace microtome;
using Catch::Contains;

namespace {

// Pixels that differ in every row, column and channel.
Tensor pattern(int64_t height, int64_t width, int64_t channels) {
    Tensor image(Spec{{height, width, channels}, Dtype::u8, kCpu});
    std::span<uint8_t> pixels = image.mutable_data<uint8_t>();
    for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<uint8_t>(i * 37 + i / 7);
    return image;
}

std::string png_of(const Tensor& image) {
    ScratchFolder folder;
    write_png(folder / "x.png", image);
    return read_file(folder / "x.png", 1 << 20);
}

void append(void* file, void* data, int size) {
    static_cast<std::string*>(file)->append(static_cast<const char*>(data), size);
}

// Files of every format we read, and PNGs with an alpha channel. Larger than the 128 bytes that stb reads at
// a time.
constexpr int kWidth = 19, kHeight = 11;

std::string encoded(const std::string& format) {
    bool grey = format.find("grey") != std::string::npos;
    int channels = (grey ? 1 : 3) + (format.find("alpha") != std::string::npos);
    Tensor image = pattern(kHeight, kWidth, channels);
    const uint8_t* pixels = image.data<uint8_t>().data();
    std::string file;
    if (format.starts_with("png"))
        stbi_write_png_to_func(append, &file, kWidth, kHeight, channels, pixels, kWidth * channels);
    else if (format.starts_with("bmp"))
        stbi_write_bmp_to_func(append, &file, kWidth, kHeight, channels, pixels);
    else if (format.starts_with("jpeg"))
        stbi_write_jpg_to_func(append, &file, kWidth, kHeight, channels, pixels, 100);
    else
        file = str(grey ? "P5" : "P6", "\n19 11\n255\n") +
               std::string(reinterpret_cast<const char*>(pixels), image.elements());
    return file;
}

std::string big_endian(uint32_t number) {
    std::string bytes;
    for (int shift : {24, 16, 8, 0}) bytes += static_cast<char>(number >> shift);
    return bytes;
}

// The beginning of a PNG of 8-bit colours.
std::string png_beginning(uint32_t width, uint32_t height) {
    std::string file = "\x89PNG\r\n\x1a\n";
    file += big_endian(13) + "IHDR" + big_endian(width) + big_endian(height);
    file += '\x08';
    file += '\x02';
    file.append(3, '\0');
    return file + big_endian(0);
}

// A PNG that says it has this many pixels, and ends there.
std::string png_header(uint32_t width, uint32_t height) {
    return png_beginning(width, height) + big_endian(1000) + "IDAT";
}

std::string bmp_header(uint32_t width, uint32_t height) {
    std::string file = "BM";
    auto add = [&](uint32_t number) {
        for (int shift : {0, 8, 16, 24}) file += static_cast<char>(number >> shift);
    };
    for (uint32_t number : {54u, 0u, 54u, 40u, width, height, 24u << 16 | 1u}) add(number);
    return file.append(24, '\0');
}

}  // namespace

TEST_CASE("what is written as PNG is read back bit for bit", "[data][image]") {
    for (Shape shape : {Shape{1, 1, 1}, Shape{1, 1, 3}, Shape{5, 7, 1}, Shape{5, 7, 3}, Shape{64, 33, 3}}) {
        Tensor image = pattern(shape[0], shape[1], shape[2]);
        CHECK(identical(decode_image(png_of(image), "x"), image));
    }
}

TEST_CASE("floats are rounded to 255ths", "[data][image]") {
    Tensor image = Tensor::of<float>({0, 1, 0.5f, 100 / 255.0f, 0.4999f / 255, 0.5001f / 255}, {2, 3, 1});
    Tensor expected = Tensor::of<uint8_t>({0, 255, 128, 100, 0, 1}, {2, 3, 1});
    CHECK(identical(decode_image(png_of(image), "x"), expected));
}

TEST_CASE("every format reads, alpha goes", "[data][image]") {
    for (std::string format : {"png", "bmp", "ppm"})
        CHECK(identical(decode_image(encoded(format), "x"), pattern(kHeight, kWidth, 3)));
    for (std::string format : {"png grey", "pgm grey"})
        CHECK(identical(decode_image(encoded(format), "x"), pattern(kHeight, kWidth, 1)));

    Tensor with_alpha = pattern(kHeight, kWidth, 4), without = decode_image(encoded("png alpha"), "x");
    REQUIRE(without.shape() == Shape{kHeight, kWidth, 3});
    for (int i = 0; i < kHeight * kWidth * 3; ++i)
        CHECK(without.data<uint8_t>()[i] == with_alpha.data<uint8_t>()[i / 3 * 4 + i % 3]);
    CHECK(decode_image(encoded("png grey alpha"), "x").shape() == Shape{kHeight, kWidth, 1});

    // JPEG loses something, but at full quality little.
    Tensor flat = Tensor::full({8, 8, 3}, 200, Dtype::u8);
    std::string file;
    stbi_write_jpg_to_func(append, &file, 8, 8, 3, flat.data<uint8_t>().data(), 100);
    for (int value : decode_image(file, "x").data<uint8_t>()) CHECK(std::abs(value - 200) <= 1);
    CHECK(decode_image(encoded("jpeg"), "x").shape() == Shape{kHeight, kWidth, 3});
}

TEST_CASE("an image cut short anywhere is refused", "[data][image]") {
    for (std::string format : {"png", "png grey", "png alpha", "bmp", "jpeg", "ppm", "pgm grey"}) {
        INFO(format);
        std::string file = encoded(format);
        CHECK_NOTHROW(decode_image(file, "x"));
        CHECK_NOTHROW(decode_image(file + "trailing", "x"));
        for (std::size_t size = 0; size < file.size(); ++size) {
            INFO("the first " << size << " of " << file.size() << " bytes");
            CHECK_THROWS_AS(decode_image(std::string_view(file).substr(0, size), "x"), FormatError);
        }
    }
}

TEST_CASE("what is no image is refused by name", "[data][image]") {
    ScratchFolder folder;
    write_file(folder / "text.png", "This is not an image, whatever its name says.\n");
    write_file(folder / "empty.png", "");
    CHECK_THROWS_WITH(read_image(folder / "text.png"), Contains("text.png") && Contains("PNG"));
    CHECK_THROWS_AS(read_image(folder / "text.png"), FormatError);
    CHECK_THROWS_WITH(read_image(folder / "empty.png"), Contains("empty.png") && Contains("empty file"));
    CHECK_THROWS_AS(read_image(folder / "empty.png"), FormatError);
    CHECK_THROWS_AS(read_image(folder / "missing.png"), MissingFileError);
    CHECK_THROWS_AS(decode_image("GIF89a............", "x"), FormatError);
}

TEST_CASE("a header that claims too much is refused before anything is allocated", "[data][image]") {
    for (std::string file :
         {png_header(60000, 60000), png_header(16385, 1), png_header(1, 16385), bmp_header(16385, 1),
          bmp_header(1, 16385), std::string("P6\n60000 60000\n255\n"), std::string("P5 16385 1 255\n")})
        CHECK_THROWS_WITH(decode_image(file, "x"), Contains("16384") && Contains("large"));
}

TEST_CASE("what a PNG's chunks claim is compared with the file", "[data][image]") {
    auto chunk = [](const std::string& kind, const std::string& content) {
        return big_endian(static_cast<uint32_t>(content.size())) + kind + content + big_endian(0);
    };
    // Gigabytes announced by a small file: one that the decoder would take memory for.
    const std::string beginning = png_beginning(9, 8);
    CHECK_THROWS_WITH(decode_image(beginning + big_endian(0x69494441) + "IDAT" + std::string(20, 'x'), "x"),
                      Contains("1766409281 bytes was announced and 16 are there"));
    // At its best a byte of compressed data is 1032 bytes of pixels, and a line has one byte more.
    const std::string large = png_beginning(16384, 16384);
    CHECK_THROWS_WITH(decode_image(large + chunk("IDAT", std::string(1000, 'x')) + chunk("IEND", ""), "x"),
                      Contains("1000 bytes of data can't be 805306368 bytes of pixels"));
    const Tensor flat = Tensor::full({1000, 1000, 3}, 7, Dtype::u8);
    CHECK(identical(decode_image(png_of(flat), "x"), flat));

    // A chunk without content is allowed, and nothing at all is cut short.
    const std::string whole = encoded("png");
    const std::size_t data = whole.find("IDAT") - 4;
    const std::string with_empty = whole.substr(0, data) + chunk("IDAT", "") + whole.substr(data);
    CHECK(identical(decode_image(with_empty, "x"), decode_image(whole, "x")));
    CHECK_THROWS_AS(decode_image(beginning + chunk("IDAT", "") + chunk("IEND", ""), "x"), FormatError);
}

TEST_CASE("the numbers of a PGM's or PPM's header are taken for hostile", "[data][image]") {
    const std::string pixel = "abc";
    const Tensor expected = Tensor::of<uint8_t>({'a', 'b', 'c'}, {1, 1, 3});
    for (std::string header : {"P6 1 1 255\n", "P6\n# of a camera\n1\t1\r\n#\n255 ", "P6 000000001 1 255\n"})
        CHECK(identical(decode_image(header + pixel, "x"), expected));

    auto refused = [&](const std::string& file, const std::string& words) {
        INFO(file);
        CHECK_THROWS_AS(decode_image(file, "x"), FormatError);
        CHECK_THROWS_WITH(decode_image(file, "x"), Contains(words));
    };
    // 2^32 + 1 and 2^64 + 1 would be 1 where they are kept in fewer bits.
    refused("P6 4294967297 1 255\n" + pixel, "9 digits");
    refused("P6 1 18446744073709551617 255\n" + pixel, "9 digits");
    refused("P6 1 1 4294967551\n" + pixel, "9 digits");
    refused("P6 1 1 " + std::string(1000, '9') + "\n" + pixel, "9 digits");
    refused("P6 0 1 255\n" + pixel, "at least one pixel");
    refused("P6 -1 1 255\n" + pixel, "the width");
    refused("P61 1 255\n" + pixel, "the width");
    refused("P6 1 1 255#\n" + pixel, "space");
    refused("P6 1 1 0\n" + pixel, "up to 0");
    refused("P6 1 1 15\n" + pixel, "up to 15");
    refused("P6 16384 16384 255\n" + pixel, "cut short");
    refused("P6 # 1 1 255", "cut short");
}

TEST_CASE("of two bytes a value in a PGM the upper is kept", "[data][image]") {
    const Tensor image = decode_image(std::string("P5 2 1 65535\n\x01\x02\xfe\xff", 17), "x");
    CHECK(identical(image, Tensor::of<uint8_t>({1, 254}, {1, 2, 1})));
    CHECK_THROWS_AS(decode_image(std::string("P5 2 1 65535\n\x01\x02\xfe", 16), "x"), FormatError);
}

TEST_CASE("what no PNG can show is not written", "[data][image]") {
    ScratchFolder folder;
    std::string path = folder / "x.png";
    CHECK_THROWS_AS(write_png(path, Tensor::zeros({4, 4})), ShapeError);
    CHECK_THROWS_AS(write_png(path, Tensor::zeros({1, 4, 4, 3})), ShapeError);
    CHECK_THROWS_AS(write_png(path, Tensor::zeros({4, 4, 2})), ShapeError);
    CHECK_THROWS_AS(write_png(path, Tensor::zeros({0, 4, 3})), ShapeError);
    CHECK_THROWS_AS(write_png(path, Tensor::zeros({1, 16385, 1})), ShapeError);
    CHECK_THROWS_AS(write_png(path, Tensor()), ShapeError);
    CHECK_THROWS_AS(write_png(path, Tensor::zeros({4, 4, 3}, Dtype::f64)), DtypeError);
    float beyond = std::nextafter(1.0f, 2.0f);
    for (float value : {beyond, -0.01f, std::numeric_limits<float>::quiet_NaN()})
        CHECK_THROWS_AS(write_png(path, Tensor::full({2, 2, 1}, value)), OptionsError);
    CHECK(folder.names().empty());
    CHECK_THROWS_AS(write_png(folder / "missing/x.png", Tensor::zeros({4, 4, 3})), IoError);
}

TEST_CASE("a JPEG of more pixels than it has bits for is refused before it is decoded", "[data][image]") {
    std::string file = encoded("jpeg");
    const std::size_t frame = file.find("\xff\xc0");
    REQUIRE(frame != std::string::npos);
    auto with_sides = [&](int height, int width) {
        std::string changed = file;
        for (int i : {0, 1}) {
            changed[frame + 5 + i] = static_cast<char>(height >> (i == 0 ? 8 : 0));
            changed[frame + 7 + i] = static_cast<char>(width >> (i == 0 ? 8 : 0));
        }
        return changed;
    };
    REQUIRE_NOTHROW(decode_image(with_sides(kHeight, kWidth), "x"));
    CHECK_THROWS_WITH(decode_image(with_sides(16000, 16000), "x"), Contains("can't be 16000 x 16000 pixels"));
    // A flat image, which needs the fewest.
    for (int side : {8, 100, 1000, 3000}) {
        const Tensor flat = Tensor::full({side, side, 3}, 200, Dtype::u8);
        CHECK(decode_image(encode_jpeg(flat, 1), "x").shape() == flat.shape());
    }
}

TEST_CASE("a JPEG's scans need tables before them, and its colours a scan", "[data][image]") {
    const std::string good = encoded("jpeg");
    auto without = [&](std::string_view mark, std::size_t which) {
        std::size_t at = good.find(mark);
        for (std::size_t i = 0; i < which; ++i) at = good.find(mark, at + 2);
        REQUIRE(at != std::string::npos);
        const std::size_t length =
            std::size_t{static_cast<uint8_t>(good[at + 2])} << 8 | static_cast<uint8_t>(good[at + 3]);
        return good.substr(0, at) + good.substr(at + 2 + length);
    };
    CHECK_THROWS_WITH(decode_image(without("\xff\xc4", 0), "x"),
                      Contains("Huffman tables of a JPEG file's scan before it"));
    CHECK_THROWS_WITH(decode_image(without("\xff\xdb", 0), "x"),
                      Contains("quantization tables of a JPEG file's scan before it"));
    CHECK_THROWS_WITH(decode_image(without("\xff\xda", 0), "x"), Contains("colours"));
    // Tables of means do not stand in for those of the other coefficients, nor one number for another.
    const std::size_t scan = good.find("\xff\xda");
    for (char tables : {'\x03', '\x30'}) {
        std::string bad = good;
        bad[scan + 6] = tables;
        CHECK_THROWS_WITH(decode_image(bad, "x"), Contains("Huffman tables of a JPEG file's scan"));
    }
    // A scan behind the end of the image is none.
    std::string ended = good;
    ended.insert(scan, "\xff\xd9");
    CHECK_THROWS_WITH(decode_image(ended, "x"), Contains("colours"));
}

TEST_CASE("a JPEG's Huffman tables must be sound", "[data][image]") {
    const std::string good = encoded("jpeg");
    REQUIRE_NOTHROW(decode_image(good, "x"));
    const std::size_t table = good.find("\xff\xc4");  // length in 2 bytes, class, 16 counts
    REQUIRE(table != std::string::npos);
    auto refused = [&](const std::string& bytes) {
        CHECK_THROWS_AS(decode_image(bytes, "x"), FormatError);
        CHECK_THROWS_WITH(decode_image(bytes, "x"), Contains("Huffman table"));
    };
    for (int length : {1, 8, 16}) {  // 255 codes of one bit, of 8, ...
        std::string bad = good;
        bad[table + 4 + static_cast<std::size_t>(length)] = '\xff';
        refused(bad);
        refused("\xff\xff" + bad);
        // Also where the mark is stretched, bytes are lost between segments, or it follows a scan.
        bad.insert(table, "\xff\xff");
        refused(bad);
        bad.insert(table, "junk");
        refused(bad);
        refused(good.substr(0, good.size() - 2) + bad.substr(table));
    }
    std::string long_one = good;  // 257 codes of 16 bits, and as many values
    long_one.insert(
        table, std::string("\xff\xc4\1\x14\0", 5) + std::string(14, '\0') + "\2\xff" + std::string(257, 'x'));
    refused(long_one);
    // The same bytes in a comment are no table.
    std::string comment = good;
    comment.insert(2, "\xff\xfe" + std::string("\0\x19", 2) + "\xff\xc4" + std::string("\0\x15\0", 3) +
                          std::string(16, '\xff') + "..");
    CHECK(identical(decode_image(comment, "x"), decode_image(good, "x")));
}
