#include "tests/emulation/emulated_graph.hpp"

#include "tensor/cuda/emulation.hpp"

#include <memory>
#include <vector>

namespace microtome::cuda::emulation {
namespace {

struct Notes {
    std::vector<std::function<void()>> work;
    bool spoilt = false;
};

thread_local std::unique_ptr<Notes> notes;

void begin_capture(const Stream&) {
    if (notes) throw DeviceError("emulation", "expected one capture at a time, got a second");
    notes = std::make_unique<Notes>();
}
void* end_capture(const Stream&) {
    if (!notes) throw DeviceError("emulation", "expected a capture to end, got none");
    const std::unique_ptr<Notes> ended = std::move(notes);
    if (ended->spoilt) throw DeviceError("emulation", "expected work that a graph can hold");
    return new std::vector<std::function<void()>>(std::move(ended->work));
}
void drop_capture(const Stream&) noexcept {
    notes.reset();
}
void launch_graph(const Stream&, void* graph) {
    for (const auto& work : *static_cast<std::vector<std::function<void()>>*>(graph)) work();
}
void release_graph(void* graph) noexcept {
    delete static_cast<std::vector<std::function<void()>>*>(graph);
}

}  // namespace

bool capturing() {
    return notes != nullptr;
}
void note(std::function<void()> work) {
    notes->work.push_back(std::move(work));
}

void require_done_now(const char* what) {
    if (!notes) return;
    notes->spoilt = true;
    throw DeviceError("emulation", str("expected work that a graph can hold, got: ", what));
}

void add_graphs(Backend& backend) {
    // What goes on while the host does is no part of a graph.
    static const auto copy_later = backend.copy_later;
    backend.copy_later = [](const Stream& stream, Device to_device, void* to, Device from_device,
                            const void* from, std::size_t bytes) {
        require_done_now("a copy between host and device");
        copy_later(stream, to_device, to, from_device, from, bytes);
    };
    static const auto record = backend.record;
    backend.record = [](const Stream& stream, void* event) {
        require_done_now("an event");
        record(stream, event);
    };
    static const auto wait = backend.wait;
    backend.wait = [](const Stream& stream, void* event) {
        require_done_now("waiting for an event");
        wait(stream, event);
    };
    static const auto has_come = backend.has_come;
    backend.has_come = [](void* event) {
        require_done_now("a question about an event");
        return has_come(event);
    };
    backend.begin_capture = begin_capture;
    backend.end_capture = end_capture;
    backend.drop_capture = drop_capture;
    backend.launch_graph = launch_graph;
    backend.release_graph = release_graph;
}

}  // namespace microtome::cuda::emulation
