#include "report/pictures.hpp"

#include "base/error.hpp"
#include "data/image.hpp"
#include "tests/report/html_check.hpp"
#include "tests/report/sample_report.hpp"

#include <catch2/catch.hpp>

using namespace microtome;
using namespace microtome::report;
using Catch::Contains;

namespace {

// Not the product's: the inverse of what is tested.
std::string unbase64(std::string_view text) {
    constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string bytes;
    uint32_t bits = 0;
    int held = 0;
    for (char letter : text) {
        if (letter == '=') break;
        bits = bits << 6 | static_cast<uint32_t>(letters.find(letter));
        held += 6;
        if (held >= 8) bytes += static_cast<char>(bits >> (held -= 8) & 0xFF);
    }
    return bytes;
}

}  // namespace

TEST_CASE("base64 as RFC 4648 has it", "[report]") {
    const char* cases[][2] = {{"", ""},
                              {"f", "Zg=="},
                              {"fo", "Zm8="},
                              {"foo", "Zm9v"},
                              {"foob", "Zm9vYg=="},
                              {"fooba", "Zm9vYmE="},
                              {"foobar", "Zm9vYmFy"},
                              {"\xFF\xFE\xFB", "//77"}};
    for (auto& [plain, coded] : cases) CHECK(base64(plain) == coded);
}

TEST_CASE("a data URI decodes to the same image", "[report]") {
    const std::string prefix = "data:image/png;base64,";
    for (int64_t channels : {1, 3}) {
        Tensor image(Spec{{13, 7, channels}, Dtype::u8, kCpu});
        std::span<uint8_t> pixels = image.mutable_data<uint8_t>();
        for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<uint8_t>(i * 61);
        std::string uri = png_data_uri(image);
        REQUIRE(uri.starts_with(prefix));
        CHECK(identical(decode_image(unbase64(uri.substr(prefix.size())), "uri"), image));
    }
}

TEST_CASE("a perturbation is grey where nothing changed", "[report]") {
    Tensor delta = Tensor::of<float>({0, .02f, -.02f, .01f}, {2, 2, 1});
    VisiblePerturbation visible = visible_perturbation(delta);
    CHECK(visible.scale == Approx(.02));
    std::span<const float> shown = visible.image.data<float>();
    CHECK(shown[0] == .5f);
    CHECK(shown[1] == 1);
    CHECK(shown[2] == 0);
    CHECK(shown[3] == Approx(.75));
    CHECK(visible_perturbation(delta, .04).image.data<float>()[1] == Approx(.75));
    VisiblePerturbation nothing = visible_perturbation(Tensor::zeros({2, 2, 1}));
    CHECK(nothing.scale == 0);
    CHECK(nothing.image.data<float>()[3] == .5f);
}

TEST_CASE("a difference is of what the images show, whatever their types", "[report]") {
    Tensor original = Tensor::of<uint8_t>({0, 255, 100}, {1, 1, 3});
    Tensor adversarial = Tensor::of<float>({2 / 255.0f, 253 / 255.0f, 100 / 255.0f}, {1, 1, 3});
    Tensor delta = difference(original, adversarial);
    CHECK(delta.data<float>()[0] * 255 == Approx(2));
    CHECK(delta.data<float>()[1] * 255 == Approx(-2));
    CHECK(delta.data<float>()[2] == 0);
    CHECK_THROWS_AS(difference(original, Tensor::zeros({1, 3, 1})), ShapeError);
}

TEST_CASE("large images are shrunk, small ones are not", "[report]") {
    Tensor image(Spec{{7, 4, 1}, Dtype::u8, kCpu});
    std::span<uint8_t> pixels = image.mutable_data<uint8_t>();
    for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<uint8_t>(8 * i);
    CHECK(identical(shrunk(image, 7), image));
    Tensor half = shrunk(image, 4);
    REQUIRE(half.shape() == Shape{3, 2, 1});
    CHECK(half.data<float>()[0] * 255 == Approx((0 + 8 + 32 + 40) / 4.0));
    CHECK(half.data<float>()[3] * 255 == Approx((80 + 88 + 112 + 120) / 4.0));
    CHECK(shrunk(image, 4, Shrink::middle).data<float>()[0] * 255 == Approx(40));
    Tensor large = Tensor::full({900, 900, 3}, .5);
    CHECK(draw_samples({{large, "a", {"a"}}}).text.find("width=\"300\"") != std::string::npos);
}

TEST_CASE("samples say in words and in colour what is wrong", "[report]") {
    Tensor image = sample_image(8, 0);
    std::string right = draw_samples({{image, "benign", {"benign", .9}}}).text;
    CHECK_THAT(right, Contains("✓ right") && Contains("class=\"right pixels\"") && Contains(".90") &&
                          !Contains("✗"));
    std::string wrong = draw_samples({{image, "<b>malignant", {"benign\"", .8}}}).text;
    CHECK_THAT(wrong, Contains("✗ wrong") && Contains("class=\"wrong pixels\"") &&
                          Contains("truth: &lt;b&gt;malignant"));
    CHECK(html_fault(wrong) == "");
}

TEST_CASE("a strip says the scale of its perturbation", "[report]") {
    Tensor original = Tensor::full({4, 4, 3}, .5), adversarial = original.clone();
    adversarial.mutable_data<float>()[5] = .5f + 2 / 255.0f;
    std::string strip = draw_strips({{original, adversarial, "a", {"a", .9}, {"b", .6}, "PGD & more"}}).text;
    CHECK_THAT(strip, Contains("white +2/255") && Contains("black −2/255") && Contains("PGD &amp; more"));
    CHECK(html_fault(strip) == "");
    CHECK_THAT(draw_strips({{original, original, "a", {"a"}, {"a"}}}).text, Contains("nothing changed"));
    CHECK_THAT(perturbation_picture(difference(original, adversarial), "universal").caption,
               Contains("white +2/255"));
    CHECK_THAT(perturbation_picture(Tensor::full({1, 1, 1}, .05), "u").caption, Contains("white +12.75/255"));
}
