// Image files to tensors and back.
#pragma once

#include "tensor/tensor.hpp"

#include <string>
#include <string_view>

namespace microtome {

inline constexpr int kMaxImageSide = 16384;  // pixels; a file that claims more is refused unread

// The image in a JPEG, PNG, BMP, PGM or PPM file: u8 (H,W,C), top row first, C = 1 for grey and 3 for red,
// green, blue. An alpha channel is dropped, 16 bits become the upper 8, a JPEG is turned upright as its Exif
// orientation says. Throws FormatError for a file that is
// damaged, cut short, too large or something else; MissingFileError and IoError as read_file() does.
Tensor read_image(const std::string& path);

// The same from bytes in memory; `name` is what messages call them.
Tensor decode_image(std::string_view bytes, const std::string& name);

// The bytes of a PNG file. image: (H,W,C), C = 1 or 3, u8 or f32 in [0,1]; x becomes round(255 x), ties to
// even. Throws ShapeError or DtypeError for other tensors, OptionsError for an element outside [0,1] or NaN.
std::string encode_png(const Tensor& image);

// The bytes of a baseline JPEG file of the same, which loses some of it; quality from 1 to 100.
std::string encode_jpeg(const Tensor& image, int quality);
// Writes those of a PNG as a file, whole or not at all. Throws IoError when it cannot be written.
void write_png(const std::string& path, const Tensor& image);

}  // namespace microtome
