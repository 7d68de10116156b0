// Where an array lives: `cpu`, or `cuda:0`, `cuda:1`, ...
#pragma once

#include <cstdint>
#include <ostream>
#include <string_view>

namespace microtome {

struct Device {
    enum class Kind : uint8_t { cpu, cuda } kind = Kind::cpu;
    int16_t index = 0;

    friend bool operator==(Device, Device) = default;
    friend std::ostream& operator<<(std::ostream& out, Device device) {
        return device.kind == Kind::cpu ? out << "cpu" : out << "cuda:" << device.index;
    }
};

inline constexpr Device kCpu{};

// "cpu", "cuda" (the first) or "cuda:N". Throws OptionsError for anything else, DeviceError for a device that
// this build or this machine does not have.
Device parse_device(std::string_view text);

}  // namespace microtome
