#include "tests/emulation/emulated_queue.hpp"

#include <algorithm>
#include <cstring>
#include <list>
#include <map>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

namespace microtome::cuda::emulation {
namespace {

constexpr int kWork = 0, kCopies = 1;  // the two streams
constexpr int kUnknown = 0xff;         // NaN

struct Copy {
    int stream;
    uint64_t moment;  // when it was asked for
    std::byte* to;
    const std::byte* from;
    std::size_t bytes;
    bool upwards;
    bool arrived;
    std::vector<std::byte> sent;  // what it carries
};
struct EventState {
    int stream = kWork;
    uint64_t moment = 0;
};

// A clock that ticks with every request orders what was asked for.
struct Queue {
    std::mutex mutex;
    uint64_t now = 0;
    std::list<Copy> copies;                        // that the host has not waited for
    std::map<std::byte*, std::size_t> pinned;      // blocks
    std::map<const std::byte*, uint64_t> read_at;  // when the first stream began to read what had come to it
    uint64_t known_to_copies = 0;  // the moment up to which the second stream has waited for the first
    int64_t uploaded = 0;          // bytes
    int misuses = 0;
    int second = 0;  // whose address is the second stream's handle
};
Queue& queue() {
    static Queue all;
    return all;
}

int index_of(const Stream& stream) {
    return stream.handle == &queue().second ? kCopies : kWork;
}

bool is_pinned(const void* memory, std::size_t bytes) {
    const auto* first = static_cast<const std::byte*>(memory);
    const auto& blocks = queue().pinned;
    auto after = blocks.upper_bound(const_cast<std::byte*>(first));
    if (after == blocks.begin()) return false;
    const auto& [begin, size] = *std::prev(after);
    return first + bytes <= begin + size;
}

void arrive(Copy& copy) {
    if (!copy.arrived) std::memcpy(copy.to, copy.sent.data(), copy.bytes);
    copy.arrived = true;
}

// The host has waited for what that stream was asked for up to a moment.
void host_waited(int stream, uint64_t moment) {
    queue().copies.remove_if([&](Copy& copy) {
        if (copy.stream != stream || copy.moment > moment) return false;
        arrive(copy);
        if (copy.upwards && std::memcmp(copy.from, copy.sent.data(), copy.bytes) != 0) ++queue().misuses;
        return true;
    });
}

void* allocate_pinned(std::size_t bytes) {
    std::lock_guard lock(queue().mutex);
    auto* memory = static_cast<std::byte*>(operator new (bytes, std::align_val_t{64}));
    std::memset(memory, kUnknown, bytes);
    queue().pinned[memory] = bytes;
    return memory;
}

void release_pinned(void* memory) noexcept {
    std::lock_guard lock(queue().mutex);
    auto* block = static_cast<std::byte*>(memory);
    const auto found = queue().pinned.find(block);
    queue().copies.remove_if([&](const Copy& copy) {
        const std::byte* host = copy.upwards ? copy.from : copy.to;
        if (host < block || host >= block + found->second) return false;
        ++queue().misuses;
        return true;
    });
    queue().pinned.erase(found);
    operator delete (memory, std::align_val_t{64});
}

void copy_later(const Stream& stream, Device to_device, void* to, Device, const void* from,
                std::size_t bytes) {
    std::lock_guard lock(queue().mutex);
    const bool upwards = !(to_device == kCpu);
    if (!is_pinned(upwards ? from : to, bytes)) {
        ++queue().misuses;
        return;
    }
    if (upwards) queue().uploaded += static_cast<int64_t>(bytes);
    const int index = index_of(stream);
    const auto* first = static_cast<const std::byte*>(from);
    Copy copy{index,   ++queue().now, static_cast<std::byte*>(to), first, bytes,
              upwards, false,         {first, first + bytes}};
    if (upwards && index == kWork) {
        arrive(copy);
    } else {
        if (upwards) {
            const auto read = queue().read_at.find(copy.to);
            if (read != queue().read_at.end() && read->second > queue().known_to_copies) ++queue().misuses;
        }
        std::memset(to, kUnknown, bytes);
    }
    queue().copies.push_back(std::move(copy));
}

void record(const Stream& stream, void* event) {
    std::lock_guard lock(queue().mutex);
    *static_cast<EventState*>(event) = {index_of(stream), ++queue().now};
}

void begin_after(const Stream& stream, void* event) {
    std::lock_guard lock(queue().mutex);
    const EventState& state = *static_cast<EventState*>(event);
    const int index = index_of(stream);
    if (index == kCopies && state.stream == kWork)
        queue().known_to_copies = std::max(queue().known_to_copies, state.moment);
    if (index != kWork || state.stream != kCopies) return;
    for (Copy& copy : queue().copies) {
        if (copy.stream != kCopies || copy.moment > state.moment || copy.arrived) continue;
        arrive(copy);
        queue().read_at[copy.to] = ++queue().now;
    }
}

void wait(const Stream& stream, void* event) {
    {
        std::lock_guard lock(queue().mutex);
        const EventState& state = *static_cast<EventState*>(event);
        host_waited(state.stream, state.moment);
    }
    const Fault found = std::exchange(*stream.fault, Fault());
    if (found.raised != 0) throw_fault(found);
}

// Nobody knows when a GPU gets there: here, as soon as somebody asks.
bool has_come(void* event) {
    std::lock_guard lock(queue().mutex);
    const EventState& state = *static_cast<EventState*>(event);
    host_waited(state.stream, state.moment);
    return true;
}

}  // namespace

void add_queue(Backend& backend) {
    backend.allocate_pinned = allocate_pinned;
    backend.release_pinned = release_pinned;
    backend.copy_stream = [](int device) {
        Stream stream = cuda::backend()->stream(device);
        stream.handle = &queue().second;
        return stream;
    };
    backend.copy_later = copy_later;
    backend.make_event = [](int) -> void* { return new EventState; };
    backend.release_event = [](void* event) noexcept { delete static_cast<EventState*>(event); };
    backend.record = record;
    backend.begin_after = begin_after;
    backend.has_come = has_come;
    backend.wait = wait;
}

void finish_copies(const Stream& stream) {
    std::lock_guard lock(queue().mutex);
    host_waited(index_of(stream), queue().now);
}

void note_upload(std::size_t bytes) {
    std::lock_guard lock(queue().mutex);
    queue().uploaded += static_cast<int64_t>(bytes);
}
int64_t uploaded() {
    return queue().uploaded;
}

int misuses() {
    return queue().misuses;
}

}  // namespace microtome::cuda::emulation
