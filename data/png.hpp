// What is looked at in a PNG file before it is decoded.
#pragma once

#include <string>
#include <string_view>

namespace microtome {

// Throws FormatError for more pixels than kMaxImageSide a side, a chunk (PNG, section 5.3) that claims more
// bytes than there are, and less compressed data than the pixels could be made from: the decoder that we
// build on takes memory for what is claimed. Anything but a PNG file passes.
void require_sound_chunks(std::string_view file, const std::string& name);

}  // namespace microtome
