// What is looked at in a JPEG file before it is decoded.
#pragma once

#include <string>
#include <string_view>

namespace microtome {

// Throws FormatError for a Huffman table (JPEG standard T.81, section B.2.4.2) of more codes than there are,
// 256 in all and 2^length of each length less those that shorter ones take: the decoder that we build on
// writes beyond its own tables then. Anything but a JPEG file passes.
void require_sound_huffman_tables(std::string_view file, const std::string& name);

}  // namespace microtome
