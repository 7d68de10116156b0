// The files in a zip archive, stored or deflated: as much of the format as numpy and PyTorch write.
#pragma once

#include "base/byte_stream.hpp"

#include <vector>

namespace microtome {

struct ZipMember {
    std::string name;
    std::string_view bytes;  // as they are in the archive
    Packing packing = Packing::none;
    uint64_t size = 0;  // unpacked, as the archive claims
    uint32_t crc = 0;   // of what is unpacked
};

// What the central directory lists, in its order; also of archives of 4 GiB and more (zip64). `archive` must
// outlive the members. Throws FormatError for what is no zip archive, is damaged, encrypted, packed by
// anything else, or has two files of one name.
std::vector<ZipMember> zip_members(std::string_view archive, const std::string& name);

// The stream of a member's bytes, or all of them. Throw FormatError in the name of `name` when they cannot be
// as many as the archive claims, or more than `most`, and read_member() when the checksum is another.
ByteStream open_member(const ZipMember& member, const std::string& name, uint64_t most);
std::string read_member(const ZipMember& member, const std::string& name, uint64_t most);

// To be asked at the end of open_member()'s stream. Throws FormatError where more follows, or it was damaged.
void require_sound_end(const ZipMember& member, ByteStream& stream, const std::string& name);

}  // namespace microtome
