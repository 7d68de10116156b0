// The files in a zip archive, stored or deflated: as much of the format as numpy writes.
#pragma once

#include "data/byte_stream.hpp"

#include <vector>

namespace microtome {

struct ZipMember {
    std::string name;
    std::string_view bytes;  // as they are in the archive
    Packing packing = Packing::none;
    uint64_t size = 0;  // unpacked, as the archive claims
    uint32_t crc = 0;   // of what is unpacked
};

// What the central directory lists, in its order. `archive` must outlive the members. Throws FormatError for
// what is no zip archive, is damaged, encrypted, packed by anything else, or larger than 4 GiB (zip64).
std::vector<ZipMember> zip_members(std::string_view archive, const std::string& name);

}  // namespace microtome
