// What is looked at in a JPEG file before it is decoded.
#pragma once

#include <string>
#include <string_view>

namespace microtome {

// Throws FormatError where the decoder that we build on would do harm or take long:
//
// - a Huffman table (JPEG standard T.81, section B.2.4.2) of more codes than there are, 256 in all and of
// each
//   length 2^length less those that shorter ones take: it writes beyond its own tables then;
// - a scan whose Huffman or quantization tables have not come before it, and a colour without a scan: it
//   takes whatever its memory holds;
// - more pixels than the file has bits for, at a bit for 64 of them: it goes on for long after the data have
//   run out.
//
// Anything but a JPEG file passes.
void require_sound_jpeg(std::string_view file, const std::string& name);

}  // namespace microtome
