#include "base/zip.hpp"

#include "base/error.hpp"

#include <unordered_set>

namespace microtome {
namespace {

// The layouts are those of PKWARE's APPNOTE: little end first, offsets in bytes. A number that has no place
// in 16 or 32 bits has all of them set there and follows elsewhere in 64 (zip64).
constexpr std::size_t kEndSize = 22, kEntrySize = 46, kLocalSize = 30, kLargeEndSize = 56, kLocatorSize = 20;
constexpr std::string_view kEndMark = "PK\5\6", kEntryMark = "PK\1\2", kLocalMark = "PK\3\4",
                           kLargeEndMark = "PK\6\6", kLocatorMark = "PK\6\7";
constexpr uint64_t kElsewhere16 = 0xffff, kElsewhere32 = 0xffffffff;
constexpr uint64_t kLargeField = 1;  // the extra field with an entry's 64-bit numbers

uint64_t number(std::string_view bytes, std::size_t at, int size) {
    uint64_t value = 0;
    for (int i = size - 1; i >= 0; --i) value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
    return value;
}

class Reader {
  public:
    Reader(std::string_view archive, const std::string& name) : archive_(archive), name_(name) {}

    std::vector<ZipMember> members() const {
        const std::size_t end_at = end_record();
        const std::string_view end = piece(end_at, kEndSize);
        uint64_t count = number(end, 10, 2), at = number(end, 16, 4);
        if (count == kElsewhere16 || at == kElsewhere32) {
            const std::string_view large = large_end_record(end_at);
            count = number(large, 32, 8);
            at = number(large, 48, 8);
        }
        std::vector<ZipMember> result;
        std::unordered_set<std::string_view> names;
        for (uint64_t i = 0; i < count; ++i) {
            const std::string_view entry = piece(at, kEntrySize);
            if (!entry.starts_with(kEntryMark)) fail("expected another file in its directory");
            const std::size_t name_size = number(entry, 28, 2), extra_size = number(entry, 30, 2);
            const std::string_view name = piece(at + kEntrySize, name_size);
            if (!names.insert(name).second)
                throw FormatError(name_, str("expected names that differ, got ", name, " again"));
            result.push_back(member(entry, name, piece(at + kEntrySize + name_size, extra_size)));
            at += kEntrySize + name_size + extra_size + number(entry, 32, 2);
        }
        return result;
    }

  private:
    [[noreturn]] void fail(const std::string& what) const {
        throw FormatError(name_, what + ": it was cut short, or is damaged");
    }
    std::string_view piece(uint64_t at, uint64_t size) const {
        if (at > archive_.size() || size > archive_.size() - at)
            fail(str("expected ", size, " bytes from byte ", at, " on, got ", archive_.size(), " in all"));
        return archive_.substr(at, size);
    }

    // The last thing in the file but for a comment of up to 65,535 bytes.
    std::size_t end_record() const {
        const std::size_t at = archive_.rfind(kEndMark);
        if (at == std::string_view::npos || archive_.size() - at < kEndSize)
            fail("expected the directory of a zip archive at the end");
        return at;
    }
    // Found by the locator in front of the end record.
    std::string_view large_end_record(std::size_t end_at) const {
        if (end_at < kLocatorSize) fail("expected the directory of a large zip archive");
        const std::string_view locator = piece(end_at - kLocatorSize, kLocatorSize);
        if (!locator.starts_with(kLocatorMark)) fail("expected the directory of a large zip archive");
        const std::string_view large = piece(number(locator, 8, 8), kLargeEndSize);
        if (!large.starts_with(kLargeEndMark)) fail("expected the directory of a large zip archive");
        return large;
    }

    ZipMember member(std::string_view entry, std::string_view name, std::string_view extra) const {
        const uint64_t flags = number(entry, 8, 2), method = number(entry, 10, 2);
        uint64_t packed = number(entry, 20, 4), size = number(entry, 24, 4), at = number(entry, 42, 4);
        std::string_view large = large_numbers(extra);
        for (uint64_t* field : {&size, &packed, &at}) {  // in this order, and only those that are too large
            if (*field != kElsewhere32) continue;
            if (large.size() < 8) fail(str("expected 64-bit sizes of ", name));
            *field = number(large, 0, 8);
            large.remove_prefix(8);
        }
        if (flags & 1) throw FormatError(name_, str("expected plain files, got ", name, " encrypted"));
        if (method != 0 && method != 8)
            throw FormatError(name_,
                              str("expected ", name, " stored or deflated, got packing method ", method));
        const std::string_view local = piece(at, kLocalSize);
        if (!local.starts_with(kLocalMark)) fail(str("expected ", name, " at byte ", at));
        const uint64_t begin = at + kLocalSize + number(local, 26, 2) + number(local, 28, 2);
        return {std::string(name), piece(begin, packed), method == 0 ? Packing::none : Packing::deflate, size,
                static_cast<uint32_t>(number(entry, 16, 4))};
    }
    // Extra fields are a kind and a size, 16 bits each, and the field.
    std::string_view large_numbers(std::string_view extra) const {
        while (extra.size() >= 4) {
            const uint64_t kind = number(extra, 0, 2), size = number(extra, 2, 2);
            extra.remove_prefix(4);
            if (size > extra.size()) break;
            if (kind == kLargeField) return extra.substr(0, size);
            extra.remove_prefix(size);
        }
        return {};
    }

    std::string_view archive_;
    const std::string& name_;
};

}  // namespace

std::vector<ZipMember> zip_members(std::string_view archive, const std::string& name) {
    return Reader(archive, name).members();
}

ByteStream open_member(const ZipMember& member, const std::string& name, uint64_t most) {
    const uint64_t can_be = ByteStream::most(member.bytes, member.packing);
    if (member.size > can_be)
        throw FormatError(name, str("expected ", member.size, " bytes, as the archive says, got ",
                                    member.bytes.size(), " that cannot unpack to so many"));
    if (member.size > most)
        throw FormatError(name, str("expected at most ", most, " bytes, got ", member.size));
    return ByteStream(member.bytes, member.packing, name);
}

void require_sound_end(const ZipMember& member, ByteStream& stream, const std::string& name) {
    stream.require_end();
    if (stream.crc() != member.crc) throw FormatError(name, "expected sound data, got another checksum");
}

std::string read_member(const ZipMember& member, const std::string& name, uint64_t most) {
    ByteStream stream = open_member(member, name, most);
    std::string bytes(member.size, '\0');
    stream.read(std::as_writable_bytes(std::span(bytes)));
    require_sound_end(member, stream, name);
    return bytes;
}

}  // namespace microtome
