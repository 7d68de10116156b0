#include "tensor/device.hpp"

#include "base/error.hpp"
#include "tensor/cuda/backend.hpp"

#include <algorithm>
#include <charconv>

namespace microtome {

Device parse_device(std::string_view text) {
    if (text == "cpu") return kCpu;
    if (text.starts_with("cuda")) {
        std::string_view rest = text.substr(4);
        int index = 0;
        if (!rest.empty()) {
            auto [end, error] = std::from_chars(rest.data() + 1, rest.data() + rest.size(), index);
            if (rest[0] != ':' || error != std::errc() || end != rest.data() + rest.size() || index < 0)
                throw OptionsError("device", str("expected cpu, cuda or cuda:N, got '", text, "'"));
        }
        const Device device{Device::Kind::cuda, static_cast<int16_t>(std::min(index, 0x7fff))};
        cuda::backend_of(device);
        return device;
    }
    throw OptionsError("device", str("expected cpu, cuda or cuda:N, got '", text, "'"));
}

}  // namespace microtome
