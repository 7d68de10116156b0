// The way of a batch to a GPU: as the bytes that its images are stored in, a quarter of what floats would
// take, out of pinned memory and beside the work of the step before. There they become floats, augmented.
#pragma once

#include "tensor/batch.hpp"
#include "tensor/pixel_change.hpp"

#include <memory>

namespace microtome {

class DeviceFeed {
  public:
    // Throws DeviceError for a device that is not there.
    explicit DeviceFeed(Device device);
    ~DeviceFeed();
    DeviceFeed(const DeviceFeed&) = delete;
    DeviceFeed& operator=(const DeviceFeed&) = delete;

    // images: u8 (H,W,C) of one shape, C = 1 or 3, on the CPU; a change for each, or none at all; a class for
    // each. Returns images f32 (N,H,W,C) and targets i64 (N) on the device: the bits of change()
    // (augment.hpp) on the CPU. The host waits for nothing but the batch before the last to have gone up, out
    // of whose memory this one goes.
    Batch send(const Tensors& images, const std::vector<PixelChange>& changes,
               const std::vector<int64_t>& classes);

  private:
    struct Slot;
    Device device_;
    std::unique_ptr<Slot> slots_[2];
    int turn_ = 0;
};

}  // namespace microtome
