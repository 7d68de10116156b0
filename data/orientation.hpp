// The eight ways to lay down a picture: turned by right angles and mirrored. Nothing is calculated, so
// nothing is lost.
#pragma once

#include "tensor/tensor.hpp"

namespace microtome {

// Image (H,W,C) of any type: first transposed (rows become columns), then its rows taken from the bottom up,
// then its columns from right to left, each where asked for. Throws ShapeError for another rank.
struct Orientation {
    bool transpose = false, flip_rows = false, flip_columns = false;
};
Tensor oriented(const Tensor& image, Orientation orientation);

// Turned counter-clockwise by this many right angles; negative ones clockwise.
Tensor turned(const Tensor& image, int64_t quarters);

// A photograph stored with this Exif orientation, 1 to 8, as it was seen: 1 as stored, 2 mirrored left to
// right, 3 upside down, 4 mirrored top to bottom, 5 transposed, 6 to be turned clockwise, 7 transposed along
// the other diagonal, 8 to be turned counter-clockwise. Throws OptionsError for another number.
Tensor upright(const Tensor& image, int exif_orientation);

}  // namespace microtome
