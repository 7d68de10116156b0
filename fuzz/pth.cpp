// PyTorch's files. Checksums would keep most changes from ever being looked at, so the bytes are tried as an
// archive and as the pickle in a sound one.
#include "nn/pth.hpp"

#include "fuzz/fuzz.hpp"

#include <zlib.h>

using namespace microtome;

namespace {

ZipMember stored(const std::string& name, std::string_view bytes) {
    const auto crc = static_cast<uint32_t>(
        ::crc32(0, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(bytes.size())));
    return {name, bytes, Packing::none, bytes.size(), crc};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
    static const std::string storage(48, 'x');
    const std::string_view bytes = fuzz::text_of(data, size);
    fuzz::refusals_allowed([&] { parse_weights(bytes, "x"); });
    return fuzz::refusals_allowed([&] {
        read_pth({stored("x/data.pkl", bytes), stored("x/data/0", std::string_view(storage).substr(0, 24)),
                  stored("x/data/1", std::string_view(storage).substr(0, 12)), stored("x/data/2", storage)},
                 "x");
    });
}
