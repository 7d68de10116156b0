#include "data/zip.hpp"

#include "base/error.hpp"

namespace microtome {
namespace {

// The layouts are those of PKWARE's APPNOTE: little end first, offsets in bytes.
constexpr std::size_t kEndSize = 22, kEntrySize = 46, kLocalSize = 30;
constexpr std::string_view kEndMark = "PK\5\6", kEntryMark = "PK\1\2", kLocalMark = "PK\3\4";

uint32_t number(std::string_view bytes, std::size_t at, int size) {
    uint32_t value = 0;
    for (int i = size - 1; i >= 0; --i) value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
    return value;
}

class Reader {
  public:
    Reader(std::string_view archive, const std::string& name) : archive_(archive), name_(name) {}

    std::vector<ZipMember> members() const {
        const std::string_view end = end_record();
        const uint32_t count = number(end, 10, 2);
        std::size_t at = number(end, 16, 4);
        if (count == 0xffff || at == 0xffffffff) refuse_zip64();
        std::vector<ZipMember> result;
        for (uint32_t i = 0; i < count; ++i) {
            const std::string_view entry = piece(at, kEntrySize);
            if (!entry.starts_with(kEntryMark)) fail("expected another file in its directory");
            result.push_back(member(entry, piece(at + kEntrySize, number(entry, 28, 2))));
            at += kEntrySize + number(entry, 28, 2) + number(entry, 30, 2) + number(entry, 32, 2);
        }
        return result;
    }

  private:
    [[noreturn]] void fail(const std::string& what) const {
        throw FormatError(name_, what + ": it was cut short, or is damaged");
    }
    [[noreturn]] void refuse_zip64() const {
        throw FormatError(name_, "expected a zip archive of less than 4 GiB, got a larger one (zip64)");
    }
    std::string_view piece(std::size_t at, std::size_t size) const {
        if (at > archive_.size() || size > archive_.size() - at)
            fail(str("expected ", size, " bytes from byte ", at, " on, got ", archive_.size(), " in all"));
        return archive_.substr(at, size);
    }

    // The last thing in the file but for a comment of up to 65,535 bytes.
    std::string_view end_record() const {
        const std::size_t at = archive_.rfind(kEndMark);
        if (at == std::string_view::npos || archive_.size() - at < kEndSize)
            fail("expected the directory of a zip archive at the end");
        return archive_.substr(at, kEndSize);
    }

    ZipMember member(std::string_view entry, std::string_view name) const {
        const uint32_t flags = number(entry, 8, 2), method = number(entry, 10, 2);
        const uint32_t packed = number(entry, 20, 4), size = number(entry, 24, 4), at = number(entry, 42, 4);
        if (packed == 0xffffffff || size == 0xffffffff || at == 0xffffffff) refuse_zip64();
        if (flags & 1) throw FormatError(name_, str("expected plain files, got ", name, " encrypted"));
        if (method != 0 && method != 8)
            throw FormatError(name_,
                              str("expected ", name, " stored or deflated, got packing method ", method));
        const std::string_view local = piece(at, kLocalSize);
        if (!local.starts_with(kLocalMark)) fail(str("expected ", name, " at byte ", at));
        const std::size_t begin = at + kLocalSize + number(local, 26, 2) + number(local, 28, 2);
        return {std::string(name), piece(begin, packed), method == 0 ? Packing::none : Packing::deflate, size,
                number(entry, 16, 4)};
    }

    std::string_view archive_;
    const std::string& name_;
};

}  // namespace

std::vector<ZipMember> zip_members(std::string_view archive, const std::string& name) {
    return Reader(archive, name).members();
}

}  // namespace microtome
