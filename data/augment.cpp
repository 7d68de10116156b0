#include "data/augment.hpp"

#include "base/error.hpp"
#include "data/orientation.hpp"
#include "tensor/math.hpp"

#include <algorithm>
#include <cmath>

namespace microtome {
namespace {

using namespace pixels;

constexpr double kUnit = 0x1p32;        // of coordinates, in a pixel
constexpr double kMostPixels = 0x1p24;  // how far away a coordinate may come to lie

double radians(double degrees) {
    return degrees * 0x1.1df46a2529d39p-6;  // pi / 180
}

int64_t in_units(double pixels) {
    if (!(std::abs(pixels) <= kMostPixels))
        throw OptionsError("augment", str("expected a change within ", kMostPixels, " pixels, got ", pixels));
    return static_cast<int64_t>(math::rint(pixels * kUnit));
}

// The image is zoomed, sheared, rotated about its centre and shifted; the map goes the way back.
PixelMap way_back(const Change& change, int64_t height, int64_t width) {
    if (!(change.zoom > 0)) throw OptionsError("augment", str("expected a zoom above 0, got ", change.zoom));
    const double angle = radians(change.rotation), lean = radians(change.shear);
    const double cosine = math::cos(angle), sine = math::sin(angle);
    const double slope = math::sin(lean) / math::cos(lean);
    // Unrotated: x' = cos x - sin y, y' = sin x + cos y, with y downwards. Unsheared: x'' = x' + slope y'.
    const double xx = math::fma(slope, sine, cosine) / change.zoom;
    const double xy = math::fma(slope, cosine, -sine) / change.zoom;
    const double yx = sine / change.zoom, yy = cosine / change.zoom;
    const double centre_x = 0.5 * static_cast<double>(width - 1),
                 centre_y = 0.5 * static_cast<double>(height - 1);
    const double from_x = math::fma(static_cast<double>(width), change.shift_x, centre_x);
    const double from_y = math::fma(static_cast<double>(height), change.shift_y, centre_y);
    return {in_units(xx), in_units(xy), in_units(math::fma(-xx, from_x, math::fma(-xy, from_y, centre_x))),
            in_units(yx), in_units(yy), in_units(math::fma(-yx, from_x, math::fma(-yy, from_y, centre_y)))};
}

template <int kChannels>
MICROTOME_HD void warp_pixels(const float* from, float* to, int64_t height, int64_t width,
                              const PixelMap& map, Border border) {
    static constexpr float black[kChannels] = {};
    auto pixel = [&](int64_t y, int64_t x) {
        return y < 0 || x < 0 ? black : from + (y * width + x) * kChannels;
    };
    for (int64_t y = 0; y < height; ++y) {
        int64_t at_x = map.x_of_y * y + map.x_0, at_y = map.y_of_y * y + map.y_0;
        for (int64_t x = 0; x < width; ++x, at_x += map.x_of_x, at_y += map.y_of_x, to += kChannels) {
            const int64_t left = at_x >> kFractionBits, top = at_y >> kFractionBits;
            const float weight_x = weight_of(at_x), weight_y = weight_of(at_y);
            const float *a, *b, *c, *d;  // a b above c d
            if (left >= 0 && top >= 0 && left + 1 < width && top + 1 < height) {
                a = from + (top * width + left) * kChannels;
                b = a + kChannels;
                c = a + width * kChannels;
                d = c + kChannels;
            } else {
                const int64_t x0 = beyond(left, width, border), x1 = beyond(left + 1, width, border);
                const int64_t y0 = beyond(top, height, border), y1 = beyond(top + 1, height, border);
                a = pixel(y0, x0), b = pixel(y0, x1), c = pixel(y1, x0), d = pixel(y1, x1);
            }
            for (int i = 0; i < kChannels; ++i)
                to[i] = between(between(a[i], b[i], weight_x), between(c[i], d[i], weight_x), weight_y);
        }
    }
}

// As a call of the C library's fma() costs ten times what the instruction does, the loop is compiled twice.
// The bits are the same.
#if defined(__x86_64__)
template <int kChannels>
__attribute__((target("fma"))) void warp_by_instruction(const float* from, float* to, int64_t height,
                                                        int64_t width, const PixelMap& map, Border border) {
    warp_pixels<kChannels>(from, to, height, width, map, border);
}
#endif

template <int kChannels>
void warp(const float* from, float* to, int64_t height, int64_t width, const PixelMap& map, Border border) {
#if defined(__x86_64__)
    static const bool has_instruction = __builtin_cpu_supports("fma");
    if (has_instruction) return warp_by_instruction<kChannels>(from, to, height, width, map, border);
#endif
    warp_pixels<kChannels>(from, to, height, width, map, border);
}

Tensor warped(const Tensor& image, const Change& change, Border border) {
    const int64_t height = image.size(0), width = image.size(1);
    const PixelMap map = way_back(change, height, width);
    Tensor result(image.spec());
    const float* from = image.data<float>().data();
    float* to = result.mutable_data<float>().data();
    (image.size(2) == 1 ? warp<1> : warp<3>)(from, to, height, width, map, border);
    return result;
}

// By whole pixels, with black where the image has gone from.
Tensor moved(const Tensor& image, int64_t down, int64_t right) {
    const int64_t height = image.size(0), width = image.size(1), channels = image.size(2);
    Tensor result = Tensor::zeros(image.shape());
    const float* from = image.data<float>().data();
    float* to = result.mutable_data<float>().data();
    const int64_t first = std::max<int64_t>(right, 0), last = std::min(width + right, width);
    for (int64_t y = std::max<int64_t>(down, 0); y < std::min(height + down, height) && first < last; ++y)
        std::copy_n(from + ((y - down) * width + first - right) * channels, (last - first) * channels,
                    to + (y * width + first) * channels);
    return result;
}

bool warps(const Change& change) {
    return change.rotation != 0 || change.shear != 0 || change.zoom != 1 || change.shift_y != 0 ||
           change.shift_x != 0;
}
bool shifts_channels(const Change& change) {
    return change.channel_shift != std::array<float, 3>{};
}
bool recolours(const Change& change) {
    return change.brightness != 1 || shifts_channels(change);
}

void require_finite(const Change& change) {
    for (double number :
         {change.rotation, change.shear, change.zoom, change.shift_y, change.shift_x, change.brightness})
        if (!std::isfinite(number))
            throw OptionsError("augment", str("expected finite numbers, got ", number));
}

void set_colours(const Change& change, PixelChange& result) {
    result.recolours = recolours(change);
    result.shifts_channels = shifts_channels(change);
    result.brightness = static_cast<float>(change.brightness);
    std::copy(change.channel_shift.begin(), change.channel_shift.end(), result.channel_shift);
}

Tensor recoloured_image(const Tensor& image, const Change& colours) {
    PixelChange change;
    set_colours(colours, change);
    Tensor result(image.spec());
    const std::span<const float> from = image.data<float>();
    const std::span<float> to = result.mutable_data<float>();
    if (!change.shifts_channels) {
        for (std::size_t i = 0; i < from.size(); ++i) to[i] = within_0_and_1(from[i] * change.brightness);
        return result;
    }
    const auto channels = static_cast<std::size_t>(image.size(2));
    for (std::size_t i = 0; i < from.size(); i += channels)
        for (std::size_t c = 0; c < channels; ++c)
            to[i + c] = pixels::recoloured(from[i + c], change, static_cast<int64_t>(c));
    return result;
}

}  // namespace

bool Augmentation::nothing() const {
    return *this == Augmentation{.border = border};
}

void require_augmentation(const Augmentation& options) {
    auto require = [](bool fits, const char* what, double got) {
        if (!fits) throw OptionsError("augment", str("expected ", what, ", got ", got));
    };
    auto within = [](double x, double most) { return x >= 0 && x <= most; };
    require(options.crop_padding >= 0 && options.crop_padding <= 16384,
            "a crop padding from 0 to 16384 pixels", static_cast<double>(options.crop_padding));
    require(within(options.rotation, 180), "a rotation from 0 to 180 degrees", options.rotation);
    require(within(options.shear, 80), "a shear from 0 to 80 degrees", options.shear);
    require(within(options.zoom, 0.95), "a zoom from 0 to 0.95", options.zoom);
    require(within(options.shift, 1), "a shift from 0 to 1", options.shift);
    require(within(options.brightness, 1), "a brightness from 0 to 1", options.brightness);
    require(within(options.channel_shift, 1), "a channel shift from 0 to 1", options.channel_shift);
}

Change draw_change(const Augmentation& options, const RandomKey& key, int64_t height, int64_t width) {
    require_augmentation(options);
    std::array<double, 14> drawn;  // one place for each decision, whether it is wanted or not
    fill_uniform(key, drawn, 0, 1, {.threads = 1});
    auto both_ways = [&](int place, double most) { return math::fma(2 * most, drawn[place], -most); };
    auto pixels = [&](int place) {
        return static_cast<int64_t>(drawn[place] * static_cast<double>(2 * options.crop_padding + 1)) -
               options.crop_padding;
    };
    Change result;
    result.flip_horizontal = options.flip_horizontal && drawn[0] < 0.5;
    result.flip_vertical = options.flip_vertical && drawn[1] < 0.5;
    if (options.right_angles) {
        result.quarters = static_cast<int>(4 * drawn[2]);
        if (height != width) result.quarters &= 2;
    }
    result.move_y = pixels(3);
    result.move_x = pixels(4);
    result.rotation = both_ways(5, options.rotation);
    result.shear = both_ways(6, options.shear);
    result.zoom = 1 + both_ways(7, options.zoom);
    result.shift_y = both_ways(8, options.shift);
    result.shift_x = both_ways(9, options.shift);
    result.brightness = 1 + both_ways(10, options.brightness);
    for (int c = 0; c < 3; ++c)
        result.channel_shift[c] = static_cast<float>(both_ways(11 + c, options.channel_shift));
    return result;
}

Tensor change(const Tensor& image, const Change& change, Border border) {
    if (image.rank() != 3 || (image.size(2) != 1 && image.size(2) != 3))
        throw ShapeError("augment", str("expected an image (H,W,1) or (H,W,3), got ", image.spec()));
    if (image.dtype() != Dtype::f32) throw DtypeError("augment", str("expected f32, got ", image.spec()));
    require_finite(change);

    Tensor result = image;
    if (change.flip_horizontal || change.flip_vertical)
        result =
            oriented(result, {.flip_rows = change.flip_vertical, .flip_columns = change.flip_horizontal});
    result = turned(result, change.quarters);
    if (change.move_y != 0 || change.move_x != 0) result = moved(result, change.move_y, change.move_x);
    if (warps(change)) result = warped(result, change, border);
    if (recolours(change)) result = recoloured_image(result, change);
    return result;
}

PixelChange pixel_change(const Change& change, Border border, int64_t height, int64_t width) {
    require_finite(change);
    if (change.quarters % 2 != 0 && height != width)
        throw ShapeError("augment",
                         str("expected a square to turn by a quarter, got ", height, " x ", width));
    PixelChange result{.move_y = change.move_y,
                       .move_x = change.move_x,
                       .quarters = static_cast<uint8_t>(change.quarters & 3),
                       .flip_rows = change.flip_vertical,
                       .flip_columns = change.flip_horizontal,
                       .warps = warps(change),
                       .border = border};
    if (result.warps) result.map = way_back(change, height, width);
    set_colours(change, result);
    return result;
}

Tensor augment(const Tensor& image, const Augmentation& options, const RandomKey& key) {
    if (options.nothing()) return image;
    if (image.rank() != 3) throw ShapeError("augment", str("expected an image (H,W,C), got ", image.spec()));
    return change(image, draw_change(options, key, image.size(0), image.size(1)), options.border);
}

}  // namespace microtome
