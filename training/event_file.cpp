#include "training/event_file.hpp"

#include <array>
#include <bit>

namespace microtome {
namespace {

constexpr std::array<uint32_t, 256> crc_table() {
    std::array<uint32_t, 256> table{};
    for (uint32_t byte = 0; byte < 256; ++byte) {
        uint32_t remainder = byte;
        for (int bit = 0; bit < 8; ++bit) remainder = (remainder >> 1) ^ ((remainder & 1) ? 0x82f63b78u : 0);
        table[byte] = remainder;
    }
    return table;
}

template <class Number>
std::string little_endian(Number number) {
    std::string bytes;
    for (std::size_t i = 0; i < sizeof number; ++i) bytes += static_cast<char>((number >> (8 * i)) & 0xff);
    return bytes;
}

// Protocol Buffers: a field is a key, 8 number + wire type, then what the type says.
std::string varint(uint64_t value) {
    std::string bytes;
    for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
    return bytes += static_cast<char>(value);
}
std::string key(unsigned field, unsigned wire_type) {
    return varint(field << 3 | wire_type);
}
std::string double_field(unsigned field, double value) {
    return key(field, 1) + little_endian(std::bit_cast<uint64_t>(value));
}
std::string float_field(unsigned field, float value) {
    return key(field, 5) + little_endian(std::bit_cast<uint32_t>(value));
}
std::string integer_field(unsigned field, int64_t value) {
    return key(field, 0) + varint(static_cast<uint64_t>(value));
}
std::string bytes_field(unsigned field, std::string_view bytes) {
    return key(field, 2) + varint(bytes.size()) + std::string(bytes);
}

std::string framed(const std::string& message) {
    const std::string length = little_endian(static_cast<uint64_t>(message.size()));
    return length + little_endian(masked_crc32c(length)) + message + little_endian(masked_crc32c(message));
}

}  // namespace

uint32_t crc32c(std::string_view bytes) {
    static constexpr std::array<uint32_t, 256> table = crc_table();
    uint32_t crc = 0xffffffffu;
    for (char byte : bytes) crc = table[(crc ^ static_cast<unsigned char>(byte)) & 0xff] ^ (crc >> 8);
    return ~crc;
}

uint32_t masked_crc32c(std::string_view bytes) {
    return std::rotr(crc32c(bytes), 15) + 0xa282ead8u;
}

std::string event_file_start(double wall_time) {
    return framed(double_field(1, wall_time) + bytes_field(3, "brain.Event:2"));
}

std::string scalar_event(double wall_time, int64_t step,
                         const std::vector<std::pair<std::string, float>>& scalars) {
    std::string summary;
    for (const auto& [tag, value] : scalars)
        summary += bytes_field(1, bytes_field(1, tag) + float_field(2, value));
    return framed(double_field(1, wall_time) + integer_field(2, step) + bytes_field(5, summary));
}

}  // namespace microtome
