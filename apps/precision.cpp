#include "apps/precision.hpp"

#include "base/error.hpp"

namespace microtome::apps {

ProductMode products_on(Device device, const std::string& precision, bool libraries) {
    const ProductMode mode{parse_precision(precision), libraries};
    if (device == kCpu && mode.precision != Precision::f32)
        throw OptionsError("precision", str("expected f32 on the processor, got ", mode.precision),
                           "tf32 and bf16 are for GPUs: --device cuda");
    return mode;
}

}  // namespace microtome::apps
