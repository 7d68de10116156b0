// Augmentation: the bytes of stored images become the floats that a training step sees, each image flipped,
// turned, moved, warped and recoloured in its own way, in one pass. One thread a pixel, which looks where it
// comes from: no two threads write one place, and the bits are those of data/augment.cpp.
//
// Least work: a byte is read and 4 are written for each value, 5 bytes in all; a warped value is read from
// four pixels, which lie in the cache but for the first time, with three fused products. Bound by memory. Not
// measured on a GPU yet.
#include "tensor/cuda/device.hpp"

namespace microtome::cuda::MICROTOME_CUDA_NAME {
namespace {

template <int kChannels>
MICROTOME_KERNEL void augment_kernel(const PixelChange* changes, const uint8_t* x, float* y, Divisor area,
                                     Divisor width, int64_t height, int64_t all) {
    for (int64_t i = first_element(); i < all; i += all_threads()) {
        const int64_t image = area.quotient(i), at = i - image * area.value;
        const int64_t row = width.quotient(at), column = at - row * width.value;
        const uint8_t* const stored = x + image * area.value * kChannels;
        float* const result = y + i * kChannels;
        if (changes == nullptr) {
            for (int c = 0; c < kChannels; ++c) result[c] = pixels::as_float(stored[at * kChannels + c]);
            continue;
        }
        const PixelChange& change = changes[image];
        const auto value = [&](int64_t pixel, int c) {
            return pixel < 0 ? 0.0f : pixels::as_float(stored[pixel * kChannels + c]);
        };
        const auto seen_at = [&](int64_t r, int64_t c) {
            return r < 0 || c < 0 ? int64_t{-1} : pixels::stored_at(change, r, c, height, width.value);
        };
        float values[kChannels];
        if (change.warps) {
            const PixelMap& map = change.map;
            const int64_t at_x = map.x_of_x * column + map.x_of_y * row + map.x_0;
            const int64_t at_y = map.y_of_x * column + map.y_of_y * row + map.y_0;
            const int64_t left = at_x >> pixels::kFractionBits, top = at_y >> pixels::kFractionBits;
            const float weight_x = pixels::weight_of(at_x), weight_y = pixels::weight_of(at_y);
            const int64_t x0 = pixels::beyond(left, width.value, change.border);
            const int64_t x1 = pixels::beyond(left + 1, width.value, change.border);
            const int64_t y0 = pixels::beyond(top, height, change.border);
            const int64_t y1 = pixels::beyond(top + 1, height, change.border);
            const int64_t a = seen_at(y0, x0), b = seen_at(y0, x1);
            const int64_t c = seen_at(y1, x0), d = seen_at(y1, x1);
            for (int k = 0; k < kChannels; ++k)
                values[k] = pixels::between(pixels::between(value(a, k), value(b, k), weight_x),
                                            pixels::between(value(c, k), value(d, k), weight_x), weight_y);
        } else {
            const int64_t from = seen_at(row, column);
            for (int k = 0; k < kChannels; ++k) values[k] = value(from, k);
        }
        for (int k = 0; k < kChannels; ++k)
            result[k] = change.recolours ? pixels::recoloured(values[k], change, k) : values[k];
    }
}

void augment(Stream stream, const PixelChange* changes, const uint8_t* x, float* y, int64_t images,
             int64_t height, int64_t width, int64_t channels) {
    const int64_t all = images * height * width;
    const auto kernel = channels == 1 ? augment_kernel<1> : augment_kernel<3>;
    launch(stream, flat(all), kernel, changes, x, y, Divisor(height * width), Divisor(width), height, all);
}

}  // namespace

void add_augment(KernelTable& table) {
    table.memory.augment = augment;
}

}  // namespace microtome::cuda::MICROTOME_CUDA_NAME
