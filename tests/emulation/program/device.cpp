// The whole program beside an emulated device: what `microtome ... --device cuda` does, without a GPU.
#include "tests/emulation/emulated_device.hpp"

#include <new>

namespace microtome::cuda::emulation {
namespace {

// Before main(), and never gone: tensors in static objects may outlive any other.
alignas(EmulatedDevice) std::byte place[sizeof(EmulatedDevice)];
[[maybe_unused]] const auto* const device = new (place) EmulatedDevice(std::size_t{1} << 32);

}  // namespace
}  // namespace microtome::cuda::emulation
