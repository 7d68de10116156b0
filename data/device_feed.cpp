#include "data/device_feed.hpp"

#include "tensor/cuda/backend.hpp"
#include "tensor/cuda/pinned.hpp"

#include <cstring>
#include <optional>

namespace microtome {
namespace {

std::size_t aligned(std::size_t bytes) {
    return (bytes + 63) / 64 * 64;
}

// Where in a slot's memory pixels, changes and classes begin.
struct Layout {
    std::size_t changes, classes, bytes;
    Layout(std::size_t pixels, std::size_t change_count, std::size_t class_count)
        : changes(aligned(pixels)),
          classes(changes + aligned(change_count * sizeof(PixelChange))),
          bytes(classes + class_count * sizeof(int64_t)) {}
};

}  // namespace

// Memory on both sides for a batch on its way, and how far that is.
struct DeviceFeed::Slot {
    explicit Slot(Device device) : arrived(device), read(device) {}

    cuda::Event arrived;  // the host's side may be written to again
    cuda::Event read;     // and so may the device's
    std::optional<cuda::PinnedBlock> here;
    Tensor there;  // bytes
};

DeviceFeed::DeviceFeed(Device device) : device_(device) {
    for (auto& slot : slots_) slot = std::make_unique<Slot>(device);
}

DeviceFeed::~DeviceFeed() {
    for (const auto& slot : slots_) try {
            slot->arrived.wait();
        } catch (...) {  // what the device's work threw is for who waits next
        }
}

Batch DeviceFeed::send(const Tensors& images, const std::vector<PixelChange>& changes,
                       const std::vector<int64_t>& classes) {
    if (images.empty() || images.size() != classes.size() ||
        (!changes.empty() && changes.size() != images.size()))
        throw ShapeError("device feed", str("expected images with a class each, and a change or none, got ",
                                            images.size(), ", ", classes.size(), " and ", changes.size()));
    const Shape& one = images[0].shape();
    for (const Tensor& image : images)
        if (image.dtype() != Dtype::u8 || image.rank() != 3 || image.shape() != one ||
            (one[2] != 1 && one[2] != 3))
            throw ShapeError("device feed", str("expected images u8(H,W,1) or u8(H,W,3) of one size, got ",
                                                images[0].spec(), " and ", image.spec()));
    const auto count = static_cast<int64_t>(images.size());
    const std::size_t size = images[0].spec().bytes();
    const Layout layout(size * images.size(), changes.size(), classes.size());

    const cuda::Backend& backend = cuda::backend_of(device_);
    const cuda::Stream work = backend.stream(device_.index), copies = backend.copy_stream(device_.index);
    Slot& slot = *slots_[turn_];
    turn_ = 1 - turn_;
    slot.arrived.wait();
    if (!slot.here || slot.here->bytes() < layout.bytes) {
        slot.here.emplace(device_, layout.bytes);
        slot.there = {};
        slot.there = Tensor(Spec{{static_cast<int64_t>(slot.here->bytes())}, Dtype::u8, device_});
        slot.read.record(work);  // the memory may be that of something still in use
    }
    std::byte* const here = slot.here->data();
    for (std::size_t i = 0; i < images.size(); ++i) std::memcpy(here + i * size, images[i].raw(), size);
    if (!changes.empty())
        std::memcpy(here + layout.changes, changes.data(), changes.size() * sizeof(PixelChange));
    std::memcpy(here + layout.classes, classes.data(), classes.size() * sizeof(int64_t));

    std::byte* const there = slot.there.mutable_raw();
    slot.read.before(copies);
    backend.copy_later(copies, device_, there, kCpu, here, layout.bytes);
    slot.arrived.record(copies);
    slot.arrived.before(work);
    Batch batch{.images = Tensor(Spec{{count, one[0], one[1], one[2]}, Dtype::f32, device_}),
                .targets = Tensor(Spec{{count}, Dtype::i64, device_})};
    if (size > 0)
        backend.kernels.memory.augment(
            work, changes.empty() ? nullptr : reinterpret_cast<const PixelChange*>(there + layout.changes),
            reinterpret_cast<const uint8_t*>(there), cuda::out<float>(batch.images), count, one[0], one[1],
            one[2]);
    backend.copy(work, device_, batch.targets.mutable_raw(), device_, there + layout.classes,
                 classes.size() * sizeof(int64_t));
    slot.read.record(work);
    return batch;
}

}  // namespace microtome
