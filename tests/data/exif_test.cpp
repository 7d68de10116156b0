#include "data/exif.hpp"

#include "base/error.hpp"
#include "data/image.hpp"
#include "data/orientation.hpp"
#include "tests/data/files.hpp"

#include <catch2/catch.hpp>

#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#include <stb/stb_image_write.h>

using namespace microtome;

namespace {

void append(void* file, void* data, int size) {
    static_cast<std::string*>(file)->append(static_cast<const char*>(data), size);
}

// 16 x 24 pixels: the left top corner red, the right top green, the left bottom blue, the right bottom white.
std::string corners_jpeg() {
    Tensor image(Spec{{16, 24, 3}, Dtype::u8, kCpu});
    uint8_t* to = image.mutable_data<uint8_t>().data();
    for (int y = 0; y < 16; ++y)
        for (int x = 0; x < 24; ++x) {
            const bool right = x >= 12, bottom = y >= 8;
            *to++ = right == bottom ? 255 : 0;
            *to++ = right ? 255 : 0;
            *to++ = bottom ? 255 : 0;
        }
    std::string file;
    stbi_write_jpg_to_func(append, &file, 24, 16, 3, image.data<uint8_t>().data(), 100);
    return file;
}

// "R" for red and so on, at left top, right top, left bottom, right bottom.
std::string corners_of(const Tensor& image) {
    std::string letters;
    const int64_t height = image.size(0), width = image.size(1);
    for (int64_t y : {int64_t{2}, height - 3})
        for (int64_t x : {int64_t{2}, width - 3}) {
            const uint8_t* rgb = &image.data<uint8_t>()[(y * width + x) * 3];
            const int code = (rgb[0] > 127) + 2 * (rgb[1] > 127) + 4 * (rgb[2] > 127);
            letters += code == 1 ? 'R' : code == 2 ? 'G' : code == 4 ? 'B' : code == 7 ? 'W' : '?';
        }
    return letters;
}

struct Tag {
    int tag = 0x0112, type = 3, value = 1;
    uint32_t count = 1;
};

std::string tiff(bool big, const std::vector<Tag>& tags, uint32_t directory = 8) {
    auto number = [&](uint64_t value, int size) {
        std::string bytes = little_end_first(value, size);
        if (big) std::reverse(bytes.begin(), bytes.end());
        return bytes;
    };
    std::string bytes = (big ? "MM" : "II") + number(42, 2) + number(directory, 4) + number(tags.size(), 2);
    for (const Tag& tag : tags)
        bytes += number(tag.tag, 2) + number(tag.type, 2) + number(tag.count, 4) + number(tag.value, 2) +
                 number(0, 2);
    return bytes + number(0, 4);
}

std::string segment(char kind, const std::string& content) {
    const auto length = static_cast<uint32_t>(content.size() + 2);
    return std::string("\xff") + kind + big_end_first(length).substr(2) + content;
}
std::string exif(const std::string& bytes) {
    return segment('\xe1', std::string("Exif\0\0", 6) + bytes);
}

// The JPEG with these bytes behind its first two.
std::string with(const std::string& segments) {
    const std::string jpeg = corners_jpeg();
    return jpeg.substr(0, 2) + segments + jpeg.substr(2);
}

}  // namespace

TEST_CASE("a photograph comes upright, however the camera was held", "[data][exif]") {
    CHECK(corners_of(decode_image(corners_jpeg(), "x")) == "RGBW");
    const std::vector<std::string> upright_corners{"RGBW", "GRWB", "WBGR", "BWRG",
                                                   "RBGW", "BRWG", "WGBR", "GWRB"};
    for (int orientation = 1; orientation <= 8; ++orientation)
        for (bool big : {false, true}) {
            INFO(orientation);
            const std::string file =
                with(exif(tiff(big, {{.tag = 0x010f, .type = 2}, {.value = orientation}})));
            CHECK(exif_orientation(file) == orientation);
            const Tensor image = decode_image(file, "x");
            CHECK(image.shape() == (orientation <= 4 ? Shape{16, 24, 3} : Shape{24, 16, 3}));
            CHECK(corners_of(image) == upright_corners[orientation - 1]);
        }
}

TEST_CASE("orientation is found behind other segments", "[data][exif]") {
    const std::string six = exif(tiff(true, {{.value = 6}}));
    CHECK(exif_orientation(with(segment('\xe0', "JFIF") + six)) == 6);
    CHECK(exif_orientation(with(segment('\xe1', "http://ns.adobe.com/xap/1.0/") + six)) == 6);
    CHECK(exif_orientation(with("\xff\xff" + six)) == 6);                        // fill bytes
    CHECK(exif_orientation(with(six + exif(tiff(true, {{.value = 3}})))) == 6);  // the first counts
}

TEST_CASE("an Exif block that is nonsense is ignored", "[data][exif]") {
    CHECK(exif_orientation("") == 1);
    CHECK(exif_orientation("\xff") == 1);
    CHECK(exif_orientation("\x89PNG" + exif(tiff(true, {{.value = 6}}))) == 1);
    for (Tag wrong : {Tag{.value = 0}, Tag{.value = 9}, Tag{.value = 256}, Tag{.type = 4, .value = 6},
                      Tag{.value = 6, .count = 2}, Tag{.tag = 0x0113, .value = 6}})
        for (bool big : {false, true}) {
            const std::string file = with(exif(tiff(big, {wrong})));
            CHECK(exif_orientation(file) == 1);
            CHECK(corners_of(decode_image(file, "x")) == "RGBW");
        }
    CHECK(exif_orientation(with(exif(tiff(true, {{.value = 6}}, 0xffffffff)))) == 1);
    CHECK(exif_orientation(with(exif(tiff(true, {{.value = 6}}, 7)))) == 1);
    std::string wrong_magic = tiff(true, {{.value = 6}});
    wrong_magic[3] = 43;
    CHECK(exif_orientation(with(exif(wrong_magic))) == 1);
    wrong_magic[3] = 42, wrong_magic[0] = 'I';
    CHECK(exif_orientation(with(exif(wrong_magic))) == 1);
    std::string many = tiff(true, {{.tag = 1}});
    many[8] = '\xff';  // 65,281 entries
    CHECK(exif_orientation(with(exif(many))) == 1);

    const std::string block = exif(tiff(false, {{.value = 6}}));
    for (std::size_t size = 0; size < block.size(); ++size) {
        const int orientation = exif_orientation("\xff\xd8" + block.substr(0, size));
        CHECK(orientation == 1);  // the segment is longer than the file
    }
    const std::string bytes = tiff(false, {{.value = 6}});
    for (std::size_t size = 0; size < bytes.size() - 6; ++size)
        CHECK(exif_orientation(with(exif(bytes.substr(0, size)))) == 1);
}

TEST_CASE("orientations of any type and size", "[data][orientation]") {
    const Tensor image = Tensor::of<uint8_t>({1, 2, 3, 4, 5, 6}, {2, 3, 1});
    CHECK(
        identical(oriented(image, {.transpose = true}), Tensor::of<uint8_t>({1, 4, 2, 5, 3, 6}, {3, 2, 1})));
    CHECK(
        identical(oriented(image, {.flip_rows = true}), Tensor::of<uint8_t>({4, 5, 6, 1, 2, 3}, {2, 3, 1})));
    CHECK(identical(oriented(image, {.flip_columns = true}),
                    Tensor::of<uint8_t>({3, 2, 1, 6, 5, 4}, {2, 3, 1})));
    CHECK(identical(turned(image, 1), Tensor::of<uint8_t>({3, 6, 2, 5, 1, 4}, {3, 2, 1})));
    CHECK(identical(turned(image, -1), Tensor::of<uint8_t>({4, 1, 5, 2, 6, 3}, {3, 2, 1})));
    CHECK(identical(turned(image, 5), turned(image, 1)));
    const Tensor pairs = Tensor::of<double>({1, 2, 3, 4}, {1, 2, 2});
    CHECK(identical(turned(pairs, 1), Tensor::of<double>({3, 4, 1, 2}, {2, 1, 2})));
    CHECK(turned(Tensor::zeros({0, 3, 1}), 1).shape() == Shape{3, 0, 1});
    CHECK_THROWS_AS(oriented(Tensor::zeros({2, 2}), {}), ShapeError);
    CHECK_THROWS_AS(upright(image, 0), OptionsError);
    CHECK_THROWS_AS(upright(image, 9), OptionsError);
}
