// A CUDA graph: work on a device that is noted once and then asked for as a whole, as often as one likes.
//
//     MemoryReserve reserve(device);
//     const MemoryReserve::Use use(reserve);
//     step();                                              // for once, so that the reserve has what it takes
//     cuda::Graph steps = cuda::Graph::capture(device, [&] { step(), step(); });
//     for (...) steps.launch();
//
// What is noted are kernels, copies within the device, and all their arguments: addresses, shapes, numbers.
// So what differs from launch to launch has to be read from the device's memory, at addresses that stay; the
// caller keeps the tensors that the work reads or writes, and the reserve that its temporary values come
// from.
#pragma once

#include "tensor/device.hpp"

#include <cstdint>
#include <functional>

namespace microtome::cuda {

struct Backend;

class Graph {
  public:
    // Notes what `work` asks of the device, and does none of it. Throws whatever `work` throws; DeviceError,
    // too, where it does what a graph cannot: wait for the device, copy from or to the host, or allocate what
    // is not kept by the allocator already.
    static Graph capture(Device device, const std::function<void()>& work);
    ~Graph();
    Graph(Graph&& other) noexcept;
    Graph& operator=(Graph&& other) noexcept;

    // All of it, behind what the device was asked for so far; the host does not wait.
    void launch() const;

  private:
    Graph(const Backend& backend, Device device, void* handle)
        : backend_(&backend), device_(device), handle_(handle) {}
    const Backend* backend_;
    Device device_;
    void* handle_;
};

// How many graphs were launched so far, by anybody.
int64_t launched_graphs();

// Whether this thread is noting work for a graph.
bool capturing();
// Throws DeviceError, in the name of `where`, while it is: for what would be done now and not be noted.
void require_not_capturing(const char* where);

}  // namespace microtome::cuda
