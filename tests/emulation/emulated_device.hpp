// cuda:0 on the CPU: the kernels of tensor/cuda compiled as C++, and run by the emulator.
#pragma once

#include "tensor/device.hpp"

#include <cstddef>

namespace microtome::cuda::emulation {

inline constexpr Device kCuda{Device::Kind::cuda, 0};

// There is a device cuda:0 as long as this exists.
class EmulatedDevice {
  public:
    explicit EmulatedDevice(std::size_t memory = std::size_t{1} << 30);
    ~EmulatedDevice();
    EmulatedDevice(const EmulatedDevice&) = delete;
    EmulatedDevice& operator=(const EmulatedDevice&) = delete;

    // How many blocks of its memory were found written to beside their ends when they were freed.
    static int overruns();
};

}  // namespace microtome::cuda::emulation
