// A 64-bit hash of bytes, the same on every machine, to compare results bit for bit: FNV-1a (Fowler, Noll and
// Vo, 1991). Not for security, and not for untrusted keys.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace microtome {

inline constexpr uint64_t kHashSeed = 0xcbf29ce484222325u;

// The hash of `bytes` appended to what `hash` has seen so far.
constexpr uint64_t hash_bytes(std::string_view bytes, uint64_t hash = kHashSeed) {
    for (char byte : bytes) hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3u;
    return hash;
}

inline uint64_t hash_bytes(std::span<const std::byte> bytes, uint64_t hash = kHashSeed) {
    return hash_bytes(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()), hash);
}

// As 16 hexadecimal digits.
inline std::string hex(uint64_t hash) {
    std::string digits(16, '0');
    for (int i = 15; i >= 0; --i, hash >>= 4) digits[i] = "0123456789abcdef"[hash & 15];
    return digits;
}

}  // namespace microtome
