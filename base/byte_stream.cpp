#include "base/byte_stream.hpp"

#include "base/error.hpp"

#include <algorithm>
#include <cstring>
#include <new>
#include <zlib.h>

namespace microtome {
namespace {

constexpr std::size_t kMostAtOnce = std::size_t{1} << 30;  // zlib counts in 32 bits

}  // namespace

struct ByteStream::Inflater {
    z_stream state{};
    explicit Inflater(int window_bits) {
        if (::inflateInit2(&state, window_bits) != Z_OK) throw std::bad_alloc();
    }
    ~Inflater() { ::inflateEnd(&state); }
    Inflater(const Inflater&) = delete;
    Inflater& operator=(const Inflater&) = delete;
};

ByteStream::ByteStream(std::string_view bytes, Packing packing, std::string name)
    : rest_(bytes), most_(most(bytes, packing)), name_(std::move(name)) {
    if (packing != Packing::none)  // 15 bits of window; negative: no header; + 16: gzip's header
        inflater_ = std::make_unique<Inflater>(packing == Packing::gzip ? 15 + 16 : -15);
}

ByteStream::~ByteStream() = default;

// Reads as much as there is, up to the size of `to`, which isn't 0: nothing only at the end.
std::size_t ByteStream::some(std::span<std::byte> to) {
    if (!inflater_) {
        const std::size_t count = std::min(to.size(), rest_.size());
        std::memcpy(to.data(), rest_.data(), count);
        rest_.remove_prefix(count);
        return count;
    }
    z_stream& state = inflater_->state;
    const std::size_t wanted = std::min(to.size(), kMostAtOnce);
    state.next_out = reinterpret_cast<Bytef*>(to.data());
    state.avail_out = static_cast<uInt>(wanted);
    while (!ended_ && state.avail_out > 0) {
        const std::size_t offered = std::min(rest_.size(), kMostAtOnce);
        state.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(rest_.data()));
        state.avail_in = static_cast<uInt>(offered);
        const int result = ::inflate(&state, Z_NO_FLUSH);
        rest_.remove_prefix(offered - state.avail_in);
        if (result == Z_STREAM_END)
            ended_ = true;
        else if (result == Z_MEM_ERROR)
            throw std::bad_alloc();
        else if (result == Z_BUF_ERROR)
            throw FormatError(name_, "expected a whole file, got one that is cut short");
        else if (result != Z_OK)
            throw FormatError(name_,
                              str("expected sound packed data: ", state.msg ? state.msg : "zlib refuses it"));
    }
    return wanted - state.avail_out;
}

void ByteStream::read(std::span<std::byte> to) {
    while (!to.empty()) {
        const std::size_t count = some(to);
        if (count == 0)
            throw FormatError(name_, str("expected ", to.size(), " bytes more, got the end of the file"));
        crc_ = static_cast<uint32_t>(::crc32_z(crc_, reinterpret_cast<const Bytef*>(to.data()), count));
        to = to.subspan(count);
    }
}

void ByteStream::require_end() {
    std::byte more;
    if (some({&more, 1}) != 0) throw FormatError(name_, "expected the end of the file, got more bytes");
}

}  // namespace microtome
