// Bytes one after another out of memory, packed by zlib or not.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace microtome {

enum class Packing : uint8_t { none, deflate, gzip };

class ByteStream {
  public:
    // `bytes` must outlive the stream; `name` is what messages call it.
    ByteStream(std::string_view bytes, Packing packing, std::string name);
    ~ByteStream();
    ByteStream(const ByteStream&) = delete;
    ByteStream& operator=(const ByteStream&) = delete;

    // Fills `to`. Throws FormatError when the stream is damaged or ends before.
    void read(std::span<std::byte> to);
    // Throws FormatError unless all has been read, and is sound as far as the packing can tell.
    void require_end();

    // The most bytes that can come out, from first to last: deflate writes no fewer than one for 1032. To be
    // asked before what a header claims is allocated.
    uint64_t most() const { return most_; }
    static uint64_t most(std::string_view bytes, Packing packing) {
        return packing == Packing::none ? bytes.size() : 1032 * uint64_t{bytes.size()};
    }
    uint32_t crc() const { return crc_; }  // CRC-32 of what has been read

  private:
    struct Inflater;

    std::size_t some(std::span<std::byte> to);

    std::string_view rest_;
    uint64_t most_;
    std::string name_;
    std::unique_ptr<Inflater> inflater_;  // none where nothing is packed
    bool ended_ = false;                  // the packed stream has
    uint32_t crc_ = 0;
};

}  // namespace microtome
