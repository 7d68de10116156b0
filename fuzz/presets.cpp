#include "fuzz/fuzz.hpp"
#include "studies/preset.hpp"

using namespace microtome;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
    return fuzz::refusals_allowed([&] {
        try {
            preset_of_text(std::string(fuzz::text_of(data, size)), "x");
        } catch (const OptionsError&) {  // a preset that reads well and asks for nonsense
        }
    });
}
