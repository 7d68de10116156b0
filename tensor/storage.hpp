// A block of memory that tensors share, from a caching allocator that counts.
#pragma once

#include "tensor/device.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace microtome {

class CachingAllocator;

// Memory is 64-byte aligned. Freed blocks are kept for the next request of the same size class: the same few
// sizes come back at every step of a training or attack loop, and fresh pages cost as much as the arithmetic.
class Storage {
  public:
    // Throws DeviceError when the device has no such memory left, naming what was asked for and what is held.
    static std::shared_ptr<Storage> allocate(std::size_t bytes, Device device);
    ~Storage();
    Storage(const Storage&) = delete;
    Storage& operator=(const Storage&) = delete;

    std::byte* data() const { return data_; }
    std::size_t bytes() const { return bytes_; }
    Device device() const { return device_; }

    // Rises with every write access, so that a tape sees when something it saved has been changed.
    uint64_t version() const { return version_.load(std::memory_order_relaxed); }
    void touch() { version_.fetch_add(1, std::memory_order_relaxed); }

  private:
    Storage(std::byte* data, std::size_t bytes, Device device, CachingAllocator& allocator)
        : allocator_(allocator), data_(data), bytes_(bytes), device_(device) {}
    CachingAllocator& allocator_;
    std::byte* data_;
    std::size_t bytes_;
    Device device_;
    std::atomic<uint64_t> version_{0};
};

// What the tensors of a device hold: bytes asked for and not yet released, and the most that ever was since
// the last reset. Blocks kept for reuse are not counted; with what tensors hold they stay below four
// times the most that tensors ever held, and 64 MiB. release_cached_memory() gives them back.
struct MemoryUse {
    std::size_t current = 0;
    std::size_t peak = 0;
    std::size_t cached = 0;
};
MemoryUse memory_use(Device device = kCpu);
void reset_peak_memory(Device device = kCpu);
void release_cached_memory(Device device = kCpu);

}  // namespace microtome
