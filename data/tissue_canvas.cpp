#include "data/tissue_canvas.hpp"

#include <array>

namespace microtome::tissue {
namespace {

using Colour = std::array<float, 3>;  // red, green, blue

// Optical densities of one unit of dye. Haematoxylin and eosin: Ruifrok & Johnston 2001, "Quantification of
// histochemical staining by color deconvolution", table 1.
constexpr Colour kHaematoxylin = {0.650f, 0.704f, 0.286f};
constexpr Colour kEosin = {0.072f, 0.990f, 0.105f};
constexpr Colour kBlood = {0.10f, 0.80f, 0.72f};
constexpr float kLn10 = 2.30258509f;

// How one slide was stained and photographed.
struct Slide {
    Colour haematoxylin{}, eosin{}, blood{};  // densities of a unit of dye, on this slide
    Colour light{};                           // what comes through clear glass
    float mist = 0;                           // density of the dye that sticks everywhere
    Vec slope;                                // light that falls off to one side
    float vignette = 0;
    float haze = 0;   // stray light: the share of every pixel that is white
    float blur = 0;   // standard deviation, units
    float noise = 0;  // standard deviation of a pixel
};

Slide any_slide(const Origin& origin) {
    Dice dice(origin, "slide");
    Slide slide;
    const float haematoxylin = dice.ratio(0.5f, 1.6f), eosin = dice.ratio(0.4f, 1.55f);
    const float turn_h = dice.uniform(-0.10f, 0.12f), turn_e = dice.uniform(0.12f, 0.45f);
    const Colour hue_h = {1 - turn_h, 1, 1 + 2.5f * turn_h};
    for (std::size_t c = 0; c < 3; ++c) {
        slide.haematoxylin[c] = haematoxylin * kHaematoxylin[c] * hue_h[c];
        slide.eosin[c] = eosin * kEosin[c];
        slide.blood[c] = mix(1, eosin, 0.4f) * kBlood[c];
    }
    slide.eosin[0] += eosin * 0.3f * turn_e;
    slide.eosin[2] += eosin * turn_e;
    const float exposure = dice.uniform(0.80f, 1.0f), warm = dice.uniform(-0.07f, 0.07f);
    const float green = dice.uniform(-0.05f, 0.0f);
    slide.light = {exposure * (1 + warm), exposure * (1 + green), exposure * (1 - warm)};
    slide.mist = dice.uniform(0, 0.06f);
    slide.haze = dice.uniform(0, 0.10f);
    const float steep = dice.uniform(0, 0.06f);
    slide.slope = steep * dice.any_direction();
    slide.vignette = dice.uniform(0, 0.06f);
    slide.blur = dice.chance(0.8f) ? dice.uniform(0.2f, 0.45f) : dice.uniform(0.45f, 0.9f);
    slide.noise = dice.uniform(0.004f, 0.014f);
    return slide;
}

// Convolves each row, or each column, of (size, size, 3) with a normal distribution; the border repeats.
void blur(std::vector<float>& image, int64_t size, float deviation, int64_t step, int64_t stride) {
    const auto reach = static_cast<int64_t>(2.5f * deviation) + 1;
    std::vector<float> weights;
    float sum = 0;
    for (int64_t k = -reach; k <= reach; ++k) {
        const float x = static_cast<float>(k) / deviation;
        weights.push_back(math::exp(-0.5f * x * x));
        sum += weights.back();
    }
    for (float& weight : weights) weight /= sum;
    std::vector<float> line(static_cast<std::size_t>(3 * size));
    for (int64_t i = 0; i < size; ++i) {
        float* begin = image.data() + i * stride;
        for (int64_t j = 0; j < size; ++j)
            for (int64_t c = 0; c < 3; ++c) {
                float value = 0;
                for (int64_t k = -reach; k <= reach; ++k) {
                    const int64_t at = j + k < 0 ? 0 : (j + k >= size ? size - 1 : j + k);
                    value += weights[static_cast<std::size_t>(k + reach)] * begin[at * step + c];
                }
                line[static_cast<std::size_t>(3 * j + c)] = value;
            }
        for (int64_t j = 0; j < size; ++j)
            for (int64_t c = 0; c < 3; ++c) begin[j * step + c] = line[static_cast<std::size_t>(3 * j + c)];
    }
}

}  // namespace

Canvas::Canvas(int64_t size, Vec middle, Vec right, float zoom)
    : size_(size),
      middle_(middle),
      right_(right),
      pixel_(100 / (zoom * static_cast<float>(size))),
      edge_(pixel_ > 0.5f ? pixel_ : 0.5f),
      dyes_(static_cast<std::size_t>(size * size)) {}

// Light is absorbed by Beer & Lambert's law: intensity = light * 10^-(sum of densities).
Tensor Canvas::develop(const Origin& origin) const {
    const Slide slide = any_slide(origin);
    std::vector<float> image(3 * dyes_.size());
    const Noise thickness(origin, "thickness", 45);
    for (int64_t row = 0; row < size_; ++row)
        for (int64_t column = 0; column < size_; ++column) {
            const auto i = static_cast<std::size_t>(row * size_ + column);
            const Vec p = pixel_at(column, row);
            const float thick = 1 + 0.12f * thickness(p);
            const Vec from_middle = 0.02f * (p - middle_);
            const float falloff =
                1 + dot(slide.slope, from_middle) - slide.vignette * 0.5f * dot(from_middle, from_middle);
            const Dye dye = thick * dyes_[i];
            for (std::size_t c = 0; c < 3; ++c) {
                const float density = dye.haematoxylin * slide.haematoxylin[c] + dye.eosin * slide.eosin[c] +
                                      dye.blood * slide.blood[c] + slide.mist * slide.eosin[c];
                image[3 * i + c] = slide.light[c] * falloff * mix(math::exp(-kLn10 * density), 1, slide.haze);
            }
        }
    const float deviation = slide.blur / pixel_;
    if (deviation > 0.2f) {
        blur(image, size_, deviation, 3, 3 * size_);
        blur(image, size_, deviation, 3 * size_, 3);
    }
    std::vector<float> noise(image.size());
    fill_normal(origin.key("camera"), std::span<float>(noise), {.threads = 1});
    Tensor result({{size_, size_, 3}, Dtype::u8});
    std::span<uint8_t> bytes = result.mutable_data<uint8_t>();
    for (std::size_t i = 0; i < image.size(); ++i) {
        const float value = 255 * (image[i] + slide.noise * noise[i]);
        bytes[i] = static_cast<uint8_t>(math::rint(clamp(value, 0, 255)));
    }
    return result;
}

}  // namespace microtome::tissue
