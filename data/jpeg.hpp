// What is looked at in a JPEG file before it is decoded.
#pragma once

#include <string>
#include <string_view>

namespace microtome {

// Throws FormatError for a Huffman table (JPEG standard T.81, section B.2.4.2) of more codes than there are,
// 256 in all and 2^length of each length less those that shorter ones take: the decoder that we build on
// writes beyond its own tables then. And for more pixels than the file has bits for, at a bit for 64 of them:
// the decoder would go on for long after the data have run out. Anything but a JPEG file passes.
void require_sound_jpeg(std::string_view file, const std::string& name);

}  // namespace microtome
