// What goes on between the host and a GPU while both of them work: events, memory that both reach, and
// numbers sent up without waiting. One level above the backend's functions, and the same for a GPU and for
// the device that tests emulate, which throws where pinned memory is written to, or read, too early.
#pragma once

#include "tensor/device.hpp"

#include <cstddef>
#include <vector>

namespace microtome::cuda {

struct Backend;
struct Stream;

// Comes when the device has done what its stream was asked for before record(). Waited for by nobody before
// the first record(). Throws DeviceError for a device that is not there.
class Event {
  public:
    explicit Event(Device device);
    ~Event();
    Event(Event&& other) noexcept;
    Event& operator=(Event&& other) noexcept;

    void record(const Stream& stream);
    // What the stream is asked for from now on begins afterwards.
    void before(const Stream& stream) const;
    bool has_come() const;
    // The host waits. Throws what the device's work threw.
    void wait() const;

  private:
    const Backend* backend_ = nullptr;
    int device_ = 0;
    void* event_ = nullptr;
    bool recorded_ = false;
};

// Memory of the host that the device copies from and to by itself. Blocks are kept for reuse, because the
// driver takes as long for one as a whole step does. Before it is written to again, read, or goes out of
// scope, the event behind its copies has to be waited for. OutOfMemoryError where the host has none left.
class PinnedBlock {
  public:
    PinnedBlock(Device device, std::size_t bytes);
    ~PinnedBlock();
    PinnedBlock(PinnedBlock&& other) noexcept;
    PinnedBlock& operator=(PinnedBlock&& other) noexcept;

    std::byte* data() const { return data_; }
    std::size_t bytes() const { return bytes_; }

  private:
    const Backend* backend_ = nullptr;
    std::byte* data_ = nullptr;
    std::size_t bytes_ = 0;
};

// Bytes of the host that upload() takes; what is larger is worth the wait of Backend::copy().
inline constexpr std::size_t kMostUpload = 64 * 1024;

// The device's `to` becomes a copy of these bytes, behind the work it was asked for so far; the host does not
// wait, and `from` may change when this returns. Not while a graph is captured: it would remember the block,
// and not what was in it.
void upload(Device device, void* to, const void* from, std::size_t bytes);

// Waits for uploads in progress, and gives back all pinned memory that is kept. For install().
void release_pinned_memory() noexcept;

}  // namespace microtome::cuda
