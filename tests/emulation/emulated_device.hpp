// cuda:0 for tests: a GPU where there is one, else the CPU, where the kernels of tensor/cuda, compiled as
// C++, are run by the emulator.
#pragma once

#include "tensor/device.hpp"

#include <cstddef>

namespace microtome::cuda::emulation {

inline constexpr Device kCuda{Device::Kind::cuda, 0};

// There is a device cuda:0 as long as this exists.
class EmulatedDevice {
  public:
    EmulatedDevice();
    // Always emulated, with so much memory.
    explicit EmulatedDevice(std::size_t memory);
    ~EmulatedDevice();
    EmulatedDevice(const EmulatedDevice&) = delete;
    EmulatedDevice& operator=(const EmulatedDevice&) = delete;

    // What the emulated one has from now on; less than is held is full.
    static void limit_memory(std::size_t bytes);
    // How many blocks of its memory were found written to beside their ends when they were freed.
    static int overruns();
};

}  // namespace microtome::cuda::emulation
