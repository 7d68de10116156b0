// The whole program beside an emulated device: what `microtome ... --device cuda` does, without a GPU.
#include "tests/emulation/emulated_device.hpp"

namespace microtome::cuda::emulation {
namespace {

// Before main(), and never gone: tensors in static objects may outlive any other.
[[maybe_unused]] const auto* const device = new EmulatedDevice(std::size_t{1} << 32);

}  // namespace
}  // namespace microtome::cuda::emulation
