// What augmentation does to the pixels of one image (data/augment.hpp), in numbers that the host works out
// and host and GPUs calculate with alike: coordinates are integers, and what is not an integer is fused or
// rounded once. So an image changed on a GPU has the bits of one changed on the CPU.
#pragma once

#include "tensor/math.hpp"

#include <cstdint>

namespace microtome {

// What lies beyond the edge of a moved image: its mirror image, the pixel at the edge again and again, black.
enum class Border : uint8_t { mirror, edge, black };

// Where pixel (x, y) of the result lies in the source, in units of 2^-32 pixels: x_of_x x + x_of_y y + x_0,
// and so for y.
struct PixelMap {
    int64_t x_of_x = 0, x_of_y = 0, x_0 = 0, y_of_x = 0, y_of_y = 0, y_0 = 0;
};

// In this order. A turn by one or three quarters is for squares.
struct PixelChange {
    int64_t move_y = 0, move_x = 0;  // pixels, down and to the right; black where the image has gone from
    PixelMap map{};                  // read where `warps`
    float brightness = 1;            // the rest: where `recolours`
    float channel_shift[3] = {};
    uint8_t quarters = 0;  // counter-clockwise
    bool flip_rows = false, flip_columns = false;
    bool warps = false, recolours = false, shifts_channels = false;
    Border border = Border::mirror;
};

namespace pixels {

inline constexpr int kFractionBits = 32;

// A byte as a number in [0,1], rounded once.
MICROTOME_HD float as_float(uint8_t byte) {
    return static_cast<float>(byte) / 255.0f;
}

// A place on an axis of n pixels that shows what is seen at i; -1: black.
MICROTOME_HD int64_t beyond(int64_t i, int64_t n, Border border) {
    if (i >= 0 && i < n) return i;
    if (border == Border::black) return -1;
    if (border == Border::edge) return i < 0 ? 0 : n - 1;
    const int64_t period = 2 * n;  // a b c | c b a
    const int64_t place = ((i % period) + period) % period;
    return place < n ? place : period - 1 - place;
}

// A coordinate's fraction, in 24 bits: exact in a float, and below 1.
MICROTOME_HD float weight_of(int64_t coordinate) {
    return static_cast<float>(static_cast<int32_t>((coordinate & 0xffffffff) >> 8)) * 0x1p-24f;
}

// As weights are in [0, 1) and b - a is rounded once, this stays between a and b.
MICROTOME_HD float between(float a, float b, float weight) {
    return math::fma(weight, b - a, a);
}

MICROTOME_HD float within_0_and_1(float x) {
    return x < 0.0f ? 0.0f : x > 1.0f ? 1.0f : x;
}

// Brightness and channel shift.
MICROTOME_HD float recoloured(float x, const PixelChange& change, int64_t channel) {
    return within_0_and_1(change.shifts_channels
                              ? math::fma(x, change.brightness, change.channel_shift[channel])
                              : x * change.brightness);
}

// Which pixel of the stored image, counted row by row, is at (y, x) of the flipped, turned and moved one; -1:
// none.
MICROTOME_HD int64_t stored_at(const PixelChange& change, int64_t y, int64_t x, int64_t height,
                               int64_t width) {
    y -= change.move_y;
    x -= change.move_x;
    if (y < 0 || x < 0 || y >= height || x >= width) return -1;
    if (change.quarters != 0) {
        const int64_t row = y, column = x;
        y = change.quarters == 1 ? column : change.quarters == 2 ? height - 1 - row : height - 1 - column;
        x = change.quarters == 1 ? width - 1 - row : change.quarters == 2 ? width - 1 - column : row;
    }
    if (change.flip_rows) y = height - 1 - y;
    if (change.flip_columns) x = width - 1 - x;
    return y * width + x;
}

}  // namespace pixels
}  // namespace microtome
