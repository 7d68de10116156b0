// cuda:0 for tests: a GPU where there is one, else the CPU, where the kernels of tensor/cuda, compiled as
// C++, are run by the emulator.
#pragma once

#include "tensor/device.hpp"
#include "tensor/precision.hpp"

#include <cstddef>
#include <cstdint>
#include <string>

namespace microtome::cuda {
class Blas;
class Dnn;
}  // namespace microtome::cuda

namespace microtome::cuda::emulation {

inline constexpr Device kCuda{Device::Kind::cuda, 0};

// There is a device cuda:0 as long as this exists, and products have the CPU's bits there: they come from the
// plain kernels.
class EmulatedDevice {
  public:
    EmulatedDevice();
    // Always emulated, with so much memory.
    explicit EmulatedDevice(std::size_t memory);
    ~EmulatedDevice();
    EmulatedDevice(const EmulatedDevice&) = delete;
    EmulatedDevice& operator=(const EmulatedDevice&) = delete;

    // Whether it is not emulated after all.
    static bool is_gpu();
    // What the emulated one has from now on; less than is held is full.
    static void limit_memory(std::size_t bytes);
    // How many blocks of its memory were found written to beside their ends when they were freed.
    static int overruns();
    // How often the host has waited for all that the device had to do. An event waits for less.
    static int waits();
    // How many bytes came from the host so far.
    static int64_t uploaded();
    // How often a rule about pinned memory or the second stream was broken (emulated_queue.hpp).
    static int misuses();

  private:
    ProductModeScope mode_{ProductMode{.libraries = false}};
};

// Libraries are used as long as this exists, beside a device: NVIDIA's on a GPU, which must be there, and
// their stand-ins (libraries/) on the emulated one.
class Libraries {
  public:
    Libraries();
    ~Libraries();
    Libraries(const Libraries&) = delete;
    Libraries& operator=(const Libraries&) = delete;

    Blas& blas() const;
    Dnn& dnn() const;
    // What the stand-in for cuDNN has made and nobody has destroyed.
    static int64_t descriptors_alive();

  private:
    ProductModeScope mode_;
};

// The file that stands before NVIDIA's cuDNN where there is no GPU (libraries/cudnn_planner.cpp).
std::string cudnn_planner();

}  // namespace microtome::cuda::emulation
