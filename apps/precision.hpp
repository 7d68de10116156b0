// The option --precision.
#pragma once

#include "tensor/device.hpp"
#include "tensor/precision.hpp"

#include <string>

namespace microtome::apps {

inline constexpr const char* kPrecisionAbout =
    "of the factors of products on a GPU: f32, tf32 or bf16; sums and all that is kept are f32";

// How a run on this device is to multiply. Throws OptionsError for what is no precision, and for any but f32
// on the processor.
ProductMode products_on(Device device, const std::string& precision, bool libraries = true);

}  // namespace microtome::apps
