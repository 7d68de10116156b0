// MNIST's format. The first byte says whether the files are packed, the second how many bytes the labels
// have; the rest is labels and images.
#include "data/formats.hpp"
#include "fuzz/fuzz.hpp"

#include <algorithm>

using namespace microtome;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
    static const fuzz::Folder folder;
    if (size < 2) return 0;
    const std::string_view rest = fuzz::text_of(data + 2, size - 2);
    const std::size_t labels = std::min<std::size_t>(data[1], rest.size());
    const std::string place = data[0] & 1 ? "packed/" : "plain/", ending = data[0] & 1 ? ".gz" : "";
    folder.put(place + "train-labels-idx1-ubyte" + ending, rest.substr(0, labels));
    const std::string images = folder.put(place + "train-images-idx3-ubyte" + ending, rest.substr(labels));
    return fuzz::refusals_allowed([&] { open_idx(images); });
}
