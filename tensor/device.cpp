#include "tensor/device.hpp"

#include "base/error.hpp"

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
        throw DeviceError("device",
                          str("expected a CUDA device for '", text, "', but this build has no CUDA backend"),
                          "use cpu");
    }
    throw OptionsError("device", str("expected cpu, cuda or cuda:N, got '", text, "'"));
}

}  // namespace microtome
