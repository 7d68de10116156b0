// Images of bytes, brought to a size and a number of channels.
#pragma once

#include "tensor/tensor.hpp"

namespace microtome {

// All take u8 (H,W,C), C = 1 or 3, and throw ShapeError or DtypeError for anything else.

// (height, width, C): bilinear, half-pixel centres, no antialias, as the models do it; rounded to bytes, ties
// to even. Throws ShapeError for a size below 1.
Tensor resized(const Tensor& image, int64_t height, int64_t width);

// (H,W,1): .299 R + .587 G + .114 B, rounded (luma of ITU-R BT.601); grey stays as it is.
Tensor grey(const Tensor& image);

// (H,W,3): grey in all three; colour stays as it is.
Tensor colour(const Tensor& image);

}  // namespace microtome
