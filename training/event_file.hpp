// TensorBoard's event files, as far as scalars go. A file is a chain of records, each a small Protocol
// Buffers message in a frame with checksums:
//
//     8 bytes   n, the message's length, little-endian
//     4 bytes   masked CRC-32C of those 8 bytes
//     n bytes   an Event: 1 wall time (double), 2 step (varint), and either
//               3 the text "brain.Event:2", in the first record, or
//               5 a Summary: 1, repeated: a Value: 1 tag (text), 2 the number (float)
//     4 bytes   masked CRC-32C of the message
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace microtome {

// The Castagnoli checksum (RFC 3720, appendix B.4): 0xe3069283 for "123456789".
uint32_t crc32c(std::string_view bytes);
// Turned right by 15 bits, plus 0xa282ead8: so that a checksum of what contains checksums stays a good one.
uint32_t masked_crc32c(std::string_view bytes);

// The record that a file starts with, and one with the scalars of a step.
std::string event_file_start(double wall_time);
std::string scalar_event(double wall_time, int64_t step,
                         const std::vector<std::pair<std::string, float>>& scalars);

}  // namespace microtome
