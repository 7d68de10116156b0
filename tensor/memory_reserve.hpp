// Memory of a device that is set apart, for work whose addresses are noted.
#pragma once

#include "tensor/device.hpp"

#include <cstddef>
#include <memory>

namespace microtome {

// What a thread allocates on the device while it uses a reserve comes from it and goes back to it, whenever
// that is, and nobody else is given any of it as long as the reserve lives. So work that was noted with its
// addresses (tensor/cuda/graph.hpp) finds its temporary values where they were, whatever happened in between.
// What a reserve has not got it takes from the device, which it needs not do for the same work done again.
//
// memory_use() counts what tensors hold of it as theirs, and the rest as cached; release_cached_memory()
// leaves that alone.
class MemoryReserve {
  public:
    struct Blocks;  // storage.cpp

    explicit MemoryReserve(Device device);
    ~MemoryReserve();
    MemoryReserve(const MemoryReserve&) = delete;
    MemoryReserve& operator=(const MemoryReserve&) = delete;

    // In this thread, while it exists; then the one before is in use again, if there was one.
    class Use {
      public:
        explicit Use(const MemoryReserve& reserve);
        ~Use();
        Use(const Use&) = delete;
        Use& operator=(const Use&) = delete;

      private:
        Blocks* before_;
    };

  private:
    std::unique_ptr<Blocks> blocks_;
};

}  // namespace microtome
