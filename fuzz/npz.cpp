// numpy's archives: as weights, as a set of images, and the bytes as an array without an archive around it.
#include "data/formats.hpp"
#include "fuzz/fuzz.hpp"
#include "nn/weights.hpp"
#include "tensor/npy.hpp"

using namespace microtome;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
    static const fuzz::Folder folder;
    const std::string_view bytes = fuzz::text_of(data, size);
    fuzz::refusals_allowed([&] { parse_weights(bytes, "x"); });
    fuzz::refusals_allowed([&] { open_npz(folder.put("x.npz", bytes)); });
    return fuzz::refusals_allowed([&] {
        ByteStream stream(bytes, Packing::none, "x");
        read_npy(stream, size, "x");
    });
}
