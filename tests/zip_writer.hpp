// Zip archives for tests, nothing packed.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>
#include <zlib.h>

struct ZipWriting {
    bool large =
        false;         // sizes, offsets and the directory's place in 64 bits, as archives of 4 GiB have them
    int64_t more = 0;  // bytes that the directory claims besides
    uint32_t crc_flip = 0;  // wrong bits in checksums
};

inline std::string stored_zip(const std::vector<std::pair<std::string, std::string>>& files,
                              const ZipWriting& writing = {}) {
    auto number = [](uint64_t value, int size) {
        std::string bytes;
        for (int i = 0; i < size; ++i) bytes += static_cast<char>(value >> (8 * i));
        return bytes;
    };
    constexpr uint64_t kElsewhere = 0xffffffff;
    std::string archive, directory;
    for (const auto& [name, bytes] : files) {
        const uint64_t crc =
            ::crc32(0, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(bytes.size())) ^
            writing.crc_flip;
        const uint64_t size = bytes.size() + static_cast<uint64_t>(writing.more), at = archive.size();
        auto header = [&, length = name.size()](uint64_t shown, uint64_t extra) {
            return number(45, 2) + number(0, 8) + number(crc, 4) + number(shown, 4) + number(shown, 4) +
                   number(length, 2) + number(extra, 2);
        };
        const std::string other = number(0x4242, 2) + number(3, 2) + "abc";  // a field of no interest
        const std::string extra = writing.large ? other + number(1, 2) + number(24, 2) + number(size, 8) +
                                                      number(size, 8) + number(at, 8)
                                                : other;
        directory += "PK\1\2" + number(45, 2) + header(writing.large ? kElsewhere : size, extra.size()) +
                     number(0, 8) + number(0, 2) + number(writing.large ? kElsewhere : at, 4) + name + extra;
        archive += "PK\3\4" + header(bytes.size(), 0) + name + bytes;
    }
    const uint64_t start = archive.size();
    archive += directory;
    if (writing.large) {
        const uint64_t end = archive.size();
        archive += "PK\6\6" + number(44, 8) + number(45, 2) + number(45, 2) + number(0, 8) +
                   number(files.size(), 8) + number(files.size(), 8) + number(directory.size(), 8) +
                   number(start, 8);
        archive += "PK\6\7" + number(0, 4) + number(end, 8) + number(1, 4);
    }
    const uint64_t count = writing.large ? 0xffff : files.size();
    return archive + "PK\5\6" + number(0, 4) + number(count, 2) + number(count, 2) +
           number(directory.size(), 4) + number(writing.large ? kElsewhere : start, 4) + number(0, 2);
}
