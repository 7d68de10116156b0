#include "data/orientation.hpp"

#include "base/error.hpp"

#include <cstring>

namespace microtome {
namespace {

// kBytes of a pixel; 0: as many as `bytes` says. A size known when compiling is copied in one or two moves.
template <std::size_t kBytes>
void copy_pixels(const std::byte* from, std::byte* to, int64_t height, int64_t width, int64_t row_step,
                 int64_t column_step, std::size_t bytes) {
    const std::size_t size = kBytes ? kBytes : bytes;
    for (int64_t y = 0; y < height; ++y, from += row_step) {
        const std::byte* pixel = from;
        for (int64_t x = 0; x < width; ++x, pixel += column_step, to += size) std::memcpy(to, pixel, size);
    }
}

}  // namespace

Tensor oriented(const Tensor& image, Orientation orientation) {
    if (image.rank() != 3) throw ShapeError("oriented", str("expected an image (H,W,C), got ", image.spec()));
    const auto [transpose, flip_rows, flip_columns] = orientation;
    const int64_t height = image.size(0), width = image.size(1);
    const int64_t rows = transpose ? width : height, columns = transpose ? height : width;
    Tensor result(Spec{{rows, columns, image.size(2)}, image.dtype(), image.device()});
    if (result.elements() == 0) return result;

    // Where in the source the next row and the next column of the result begin.
    const auto bytes = static_cast<int64_t>(image.size(2) * size_of(image.dtype()));
    int64_t row_step = transpose ? bytes : bytes * width, column_step = transpose ? bytes * width : bytes;
    const std::byte* from = image.raw();
    if (flip_rows) {
        from += row_step * (rows - 1);
        row_step = -row_step;
    }
    if (flip_columns) {
        from += column_step * (columns - 1);
        column_step = -column_step;
    }
    const auto copy = bytes == 3    ? copy_pixels<3>
                      : bytes == 4  ? copy_pixels<4>
                      : bytes == 12 ? copy_pixels<12>
                                    : copy_pixels<0>;
    copy(from, result.mutable_raw(), rows, columns, row_step, column_step, bytes);
    return result;
}

Tensor turned(const Tensor& image, int64_t quarters) {
    switch (quarters & 3) {
        case 1: return oriented(image, {.transpose = true, .flip_rows = true});
        case 2: return oriented(image, {.flip_rows = true, .flip_columns = true});
        case 3: return oriented(image, {.transpose = true, .flip_columns = true});
        default: return image;
    }
}

Tensor upright(const Tensor& image, int exif_orientation) {
    switch (exif_orientation) {
        case 1: return image;
        case 2: return oriented(image, {.flip_columns = true});
        case 3: return turned(image, 2);
        case 4: return oriented(image, {.flip_rows = true});
        case 5: return oriented(image, {.transpose = true});
        case 6: return turned(image, -1);
        case 7: return oriented(image, {.transpose = true, .flip_rows = true, .flip_columns = true});
        case 8: return turned(image, 1);
        default:
            throw OptionsError("upright",
                               str("expected an Exif orientation from 1 to 8, got ", exif_orientation));
    }
}

}  // namespace microtome
