// Netpbm's grey and colour maps, the plainest of picture files.
#pragma once

#include "tensor/tensor.hpp"

#include <string>
#include <string_view>

namespace microtome {

// Do these bytes begin as a binary PGM ("P5") or PPM ("P6") file does?
bool looks_like_pnm(std::string_view file);

// The image in such a file: u8 (H,W,C), C = 1 for PGM and 3 for PPM. Values are bytes (largest value 255), or
// two bytes of which the upper is kept (65535); other scales are refused, since to stretch them would make
// values that the file does not have. What follows the pixels is not looked at. Throws FormatError for a file
// that is damaged, cut short or larger than kMaxImageSide, before memory is taken.
Tensor decode_pnm(std::string_view file, const std::string& name);

}  // namespace microtome
