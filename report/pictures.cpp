#include "report/pictures.hpp"

#include "base/error.hpp"
#include "data/image.hpp"
#include "report/format.hpp"

#include <algorithm>
#include <cmath>

namespace microtome::report {
namespace {

constexpr int64_t kLarge = 320;  // pixels a side; a larger image is shrunk
constexpr int64_t kSmall = 96;   // pixels a side; a smaller image is shown with its pixels as squares

float element(const Tensor& image, std::size_t i) {
    return image.dtype() == Dtype::u8 ? static_cast<float>(image.data<uint8_t>()[i]) / 255
                                      : image.data<float>()[i];
}

std::string img(const Tensor& image, std::string_view alternative, std::string_view style = "") {
    bool small = std::max(image.size(0), image.size(1)) <= kSmall;
    std::string classes = str(style, small ? str(style.empty() ? "" : " ", "pixels") : "");
    return str("<img", classes.empty() ? "" : str(" class=\"", classes, '"'), " src=\"", png_data_uri(image),
               "\" width=\"", image.size(1), "\" height=\"", image.size(0), "\" alt=\"", escape(alternative),
               "\">");
}

std::string verdict(bool right) {
    return right ? "<b class=\"good\">✓ right</b>" : "<b class=\"bad\">✗ wrong</b>";
}

std::string confidence_text(const Guess& guess) {
    return std::isnan(guess.confidence) ? "" : " " + share_text(guess.confidence);
}

// In 255ths: 2/255, 12.75/255.
std::string level_text(double value) {
    double levels = value * 255;
    return str(levels < .1 ? number_text(levels) : coordinate_text(levels), "/255");
}

}  // namespace

std::string base64(std::string_view bytes) {
    constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    text.reserve((bytes.size() + 2) / 3 * 4);
    for (std::size_t at = 0; at < bytes.size(); at += 3) {
        std::size_t count = std::min<std::size_t>(bytes.size() - at, 3);
        uint32_t group = 0;
        for (std::size_t i = 0; i < 3; ++i)
            group = group << 8 | (i < count ? static_cast<unsigned char>(bytes[at + i]) : 0u);
        for (std::size_t i = 0; i < 4; ++i) text += i <= count ? letters[group >> (18 - 6 * i) & 63] : '=';
    }
    return text;
}

std::string png_data_uri(const Tensor& image) {
    return "data:image/png;base64," + base64(encode_png(image));
}

VisiblePerturbation visible_perturbation(const Tensor& delta, double scale) {
    std::span<const float> from = delta.data<float>();
    float most = static_cast<float>(scale);
    if (!(scale > 0))
        for (float change : from) most = std::max(most, std::abs(change));
    Tensor image(Spec{delta.shape(), Dtype::f32, kCpu});
    std::span<float> to = image.mutable_data<float>();
    for (std::size_t i = 0; i < from.size(); ++i)
        to[i] = most > 0 ? std::clamp(.5f + .5f * from[i] / most, 0.0f, 1.0f) : .5f;
    return {image, most};
}

Tensor difference(const Tensor& original, const Tensor& adversarial) {
    if (original.shape() != adversarial.shape())
        throw ShapeError("difference", str("expected two images of one shape, got ", original.shape(),
                                           " and ", adversarial.shape()));
    Tensor delta(Spec{original.shape(), Dtype::f32, kCpu});
    std::span<float> to = delta.mutable_data<float>();
    for (std::size_t i = 0; i < to.size(); ++i) to[i] = element(adversarial, i) - element(original, i);
    return delta;
}

Tensor shrunk(const Tensor& image, int64_t side, Shrink how) {
    int64_t height = image.size(0), width = image.size(1), channels = image.size(2);
    int64_t k = (std::max(height, width) + side - 1) / side;
    if (k <= 1) return image;
    // A rim that is no whole square is left out.
    Shape shape{std::max<int64_t>(height / k, 1), std::max<int64_t>(width / k, 1), channels};
    Tensor result(Spec{shape, Dtype::f32, kCpu});
    std::span<float> to = result.mutable_data<float>();
    for (int64_t y = 0, i = 0; y < shape[0]; ++y)
        for (int64_t x = 0; x < shape[1]; ++x)
            for (int64_t c = 0; c < channels; ++c, ++i) {
                auto at = [&](int64_t down, int64_t right) {
                    int64_t row = std::min(y * k + down, height - 1),
                            column = std::min(x * k + right, width - 1);
                    return element(image, static_cast<std::size_t>((row * width + column) * channels + c));
                };
                double sum = 0;
                for (int64_t down = 0; down < k; ++down)
                    for (int64_t right = 0; right < k; ++right) sum += at(down, right);
                to[i] = how == Shrink::mean ? static_cast<float>(sum / static_cast<double>(k * k))
                                            : at(k / 2, k / 2);
            }
    return result;
}

Html draw_samples(const std::vector<SamplePicture>& samples) {
    std::string out = "<div class=\"samples\">\n";
    for (const SamplePicture& sample : samples) {
        bool right = sample.truth == sample.guess.name;
        std::string tells = right ? sample.truth : sample.truth + " taken for " + sample.guess.name;
        out += str("<figure class=\"sample\">",
                   img(shrunk(sample.image, kLarge), tells, right ? "right" : "wrong"), "<figcaption>",
                   verdict(right), confidence_text(sample.guess), "<br>", escape(sample.guess.name),
                   right ? "" : str("<br><span class=\"muted\">truth: ", escape(sample.truth), "</span>"),
                   "</figcaption></figure>\n");
    }
    return {out + "</div>\n"};
}

Html draw_strips(const std::vector<PerturbationStrip>& strips) {
    std::string out = "<div class=\"strips\">\n";
    auto panel = [](const std::string& title, const std::string& image, const std::string& words) {
        return str("<div class=\"panel\"><span class=\"muted\">", title, "</span>", image, "<span>", words,
                   "</span></div>\n");
    };
    auto guess = [](const Guess& made, const std::string& truth) {
        return str(verdict(made.name == truth), confidence_text(made), "<br>", escape(made.name));
    };
    for (const PerturbationStrip& strip : strips) {
        VisiblePerturbation visible = visible_perturbation(difference(strip.original, strip.adversarial));
        std::string scale = visible.scale > 0 ? str("white +", level_text(visible.scale), "<br>black −",
                                                    level_text(visible.scale))
                                              : "nothing changed";
        out +=
            str("<div class=\"strip\"><p class=\"strip-title\">", escape(strip.truth),
                strip.attack.empty() ? "" : str(" <span class=\"muted\">· ", escape(strip.attack), "</span>"),
                "</p>\n",
                panel("original", img(shrunk(strip.original, kLarge), "the original image"),
                      guess(strip.before, strip.truth)),
                panel("perturbation",
                      img(shrunk(visible.image, kLarge, Shrink::middle),
                          "the perturbation; grey where nothing changed"),
                      scale),
                panel("adversarial", img(shrunk(strip.adversarial, kLarge), "the adversarial image"),
                      guess(strip.after, strip.truth)),
                "</div>\n");
    }
    return {out + "</div>\n"};
}

Html draw_pictures(const std::vector<Picture>& pictures) {
    std::string out = "<div class=\"pictures\">\n";
    for (const Picture& picture : pictures)
        out += str("<figure class=\"picture\">", img(picture.image, picture.caption), "<figcaption>",
                   escape(picture.caption), "</figcaption></figure>\n");
    return {out + "</div>\n"};
}

Picture perturbation_picture(const Tensor& delta, const std::string& name) {
    VisiblePerturbation visible = visible_perturbation(delta);
    std::string scale = visible.scale > 0 ? str("grey is 0, white +", level_text(visible.scale), ", black −",
                                                level_text(visible.scale))
                                          : "zero everywhere";
    return {visible.image, str(name, ": ", scale)};
}

}  // namespace microtome::report
