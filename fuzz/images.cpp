#include "data/image.hpp"
#include "fuzz/fuzz.hpp"

using namespace microtome;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
    return fuzz::refusals_allowed([&] { decode_image(fuzz::text_of(data, size), "x"); });
}
