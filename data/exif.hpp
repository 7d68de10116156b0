// What a camera wrote into a JPEG file about how it was held.
#pragma once

#include <string_view>

namespace microtome {

// The orientation, 1 to 8, that a JPEG file's Exif block states (tag 0x0112 of its first directory; Exif 2.3,
// section 4.6.4): 1, as stored, where it states none, or where the block is damaged or nonsense. Anything but
// a JPEG file gives 1.
int exif_orientation(std::string_view file);

}  // namespace microtome
