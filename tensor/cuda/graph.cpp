#include "tensor/cuda/graph.hpp"

#include "tensor/cuda/backend.hpp"

#include <atomic>
#include <utility>

namespace microtome::cuda {
namespace {

thread_local bool is_capturing = false;
std::atomic<int64_t> launches{0};

}  // namespace

Graph Graph::capture(Device device, const std::function<void()>& work) {
    require_not_capturing("graph");
    const Backend& backend = backend_of(device);
    const Stream stream = backend.stream(device.index);
    backend.begin_capture(stream);
    is_capturing = true;
    try {
        work();
    } catch (...) {
        is_capturing = false;
        backend.drop_capture(stream);
        throw;
    }
    is_capturing = false;
    return {backend, device, backend.end_capture(stream)};
}

Graph::~Graph() {
    if (handle_ != nullptr) backend_->release_graph(handle_);
}
Graph::Graph(Graph&& other) noexcept
    : backend_(other.backend_), device_(other.device_), handle_(std::exchange(other.handle_, nullptr)) {}
Graph& Graph::operator=(Graph&& other) noexcept {
    std::swap(backend_, other.backend_);
    std::swap(device_, other.device_);
    std::swap(handle_, other.handle_);
    return *this;
}

void Graph::launch() const {
    require_not_capturing("graph");
    backend_->launch_graph(backend_->stream(device_.index), handle_);
    ++launches;
}

int64_t launched_graphs() {
    return launches;
}

bool capturing() {
    return is_capturing;
}

void require_not_capturing(const char* where) {
    if (is_capturing)
        throw DeviceError(where,
                          "expected work that stays on the device while a graph is made of it, got "
                          "what the host takes part in");
}

}  // namespace microtome::cuda
