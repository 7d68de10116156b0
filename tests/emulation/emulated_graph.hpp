// Graphs of the emulated device: what it is asked for while one is captured, as a list to go through again.
// What a real capture forbids is an error here: to wait for the device, to copy from or to the host, and to
// allocate.
#pragma once

#include "tensor/cuda/backend.hpp"

namespace microtome::cuda::emulation {

// Gives the backend its functions of graphs, and those that add_queue() gave it their fences.
void add_graphs(Backend& backend);

// Throws DeviceError while a graph is captured, and spoils that graph, as a GPU's would be.
void require_done_now(const char* what);

}  // namespace microtome::cuda::emulation
