#include "tensor/cuda/pinned.hpp"

#include "base/text.hpp"
#include "tensor/cuda/backend.hpp"
#include "tensor/out_of_memory.hpp"

#include <bit>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <utility>

namespace microtome::cuda {
namespace {

constexpr std::size_t kMostInFlight = 64;  // uploads; more, and the host waits for the first

struct Upload {
    PinnedBlock block;
    Event arrived;
};

// Never destroyed: static objects may hold pinned memory longer than any order of destruction knows.
struct Kept {
    std::mutex mutex;
    std::map<std::pair<const Backend*, std::size_t>, std::vector<std::byte*>> blocks;
};
Kept& kept() {
    static auto* all = new Kept;
    return *all;
}
struct InFlight {
    std::mutex mutex;
    std::map<int, std::deque<Upload>> uploads;  // by device, in their order
};
InFlight& in_flight() {
    static auto* all = new InFlight;
    return *all;
}

}  // namespace

Event::Event(Device device)
    : backend_(&backend_of(device)), device_(device.index), event_(backend_->make_event(device.index)) {}
Event::~Event() {
    if (event_ != nullptr) backend_->release_event(event_);
}
Event::Event(Event&& other) noexcept
    : backend_(other.backend_),
      device_(other.device_),
      event_(std::exchange(other.event_, nullptr)),
      recorded_(other.recorded_) {}
Event& Event::operator=(Event&& other) noexcept {
    std::swap(backend_, other.backend_);
    std::swap(device_, other.device_);
    std::swap(event_, other.event_);
    std::swap(recorded_, other.recorded_);
    return *this;
}

void Event::record(const Stream& stream) {
    backend_->record(stream, event_);
    recorded_ = true;
}
void Event::before(const Stream& stream) const {
    if (recorded_) backend_->begin_after(stream, event_);
}
bool Event::has_come() const {
    return !recorded_ || backend_->has_come(event_);
}
void Event::wait() const {
    if (recorded_) backend_->wait(backend_->stream(device_), event_);
}

PinnedBlock::PinnedBlock(Device device, std::size_t bytes)
    : backend_(&backend_of(device)), bytes_(std::bit_ceil(bytes < 64 ? std::size_t{64} : bytes)) {
    {
        std::lock_guard lock(kept().mutex);
        auto& blocks = kept().blocks[{backend_, bytes_}];
        if (!blocks.empty()) {
            data_ = blocks.back();
            blocks.pop_back();
            return;
        }
    }
    data_ = static_cast<std::byte*>(backend_->allocate_pinned(bytes_));
    if (data_ == nullptr)
        throw OutOfMemoryError("memory",
                               str("expected ", bytes_, " bytes of the host's memory that ", device,
                                   " can reach, but there is too little left"),
                               "a smaller batch needs less");
}
PinnedBlock::~PinnedBlock() {
    if (data_ == nullptr) return;
    if (backend_->keeps_blocks) {
        try {
            std::lock_guard lock(kept().mutex);
            kept().blocks[{backend_, bytes_}].push_back(data_);
            return;
        } catch (...) {  // no memory for the list: then it is not kept
        }
    }
    backend_->release_pinned(data_);
}
PinnedBlock::PinnedBlock(PinnedBlock&& other) noexcept
    : backend_(other.backend_), data_(std::exchange(other.data_, nullptr)), bytes_(other.bytes_) {}
PinnedBlock& PinnedBlock::operator=(PinnedBlock&& other) noexcept {
    std::swap(backend_, other.backend_);
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
}

void upload(Device device, void* to, const void* from, std::size_t bytes) {
    const Backend& backend = backend_of(device);
    const Stream stream = backend.stream(device.index);
    std::lock_guard lock(in_flight().mutex);
    std::deque<Upload>& uploads = in_flight().uploads[device.index];
    // A PinnedBlock must not go back before its copy is done.
    while (!uploads.empty() && uploads.front().arrived.has_come()) uploads.pop_front();
    if (uploads.size() >= kMostInFlight) {
        uploads.front().arrived.wait();
        uploads.pop_front();
    }
    Upload& next = uploads.emplace_back(Upload{PinnedBlock(device, bytes), Event(device)});
    std::memcpy(next.block.data(), from, bytes);
    backend.copy_later(stream, device, to, kCpu, next.block.data(), bytes);
    next.arrived.record(stream);
}

void release_pinned_memory() noexcept {
    {
        std::lock_guard lock(in_flight().mutex);
        for (auto& [device, uploads] : in_flight().uploads)
            for (Upload& upload : uploads) try {
                    upload.arrived.wait();
                } catch (...) {  // what the device's work threw concerns nobody any more
                }
        in_flight().uploads.clear();
    }
    std::lock_guard lock(kept().mutex);
    for (auto& [key, blocks] : kept().blocks)
        for (std::byte* block : blocks) key.first->release_pinned(block);
    kept().blocks.clear();
}

}  // namespace microtome::cuda
