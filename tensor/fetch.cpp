#include "tensor/fetch.hpp"

#include "tensor/cuda/backend.hpp"
#include "tensor/cuda/pinned.hpp"

#include <cstring>

namespace microtome {
namespace {

std::size_t aligned(std::size_t bytes) {
    return (bytes + 63) / 64 * 64;
}

// The first device that one of them is on; the CPU: none is elsewhere.
Device device_of(const std::vector<Tensor>& tensors) {
    for (const Tensor& x : tensors)
        if (x.defined() && cuda::on_cuda(x)) return x.device();
    return kCpu;
}

}  // namespace

struct Fetch::Way {
    cuda::PinnedBlock block;
    cuda::Event arrived;
    std::vector<std::size_t> places;  // in the block, by tensor
    ~Way() {
        try {
            arrived.wait();
        } catch (...) {  // what the device's work threw is for who waits next
        }
    }
};

Fetch::Fetch() = default;
Fetch::Fetch(Fetch&&) noexcept = default;
Fetch& Fetch::operator=(Fetch&&) noexcept = default;
Fetch::~Fetch() = default;

Fetch::Fetch(const std::vector<Tensor>& tensors) : here_(tensors) {
    const Device device = device_of(tensors);
    if (device == kCpu) return;
    std::vector<std::size_t> places;
    std::size_t bytes = 0;
    for (const Tensor& x : tensors) {
        places.push_back(bytes);
        if (!x.defined() || x.device() == kCpu) continue;
        if (!(x.device() == device))
            throw DeviceError("fetch",
                              str("expected tensors of one device, got ", device, " and ", x.device()));
        bytes += aligned(x.spec().bytes());
    }
    const cuda::Backend& backend = cuda::backend_of(device);
    const cuda::Stream stream = backend.stream(device.index);
    way_ = std::unique_ptr<Way>(
        new Way{cuda::PinnedBlock(device, bytes), cuda::Event(device), std::move(places)});
    for (std::size_t i = 0; i < tensors.size(); ++i) {
        const Tensor& x = tensors[i];
        if (!x.defined() || !cuda::on_cuda(x) || x.elements() == 0) continue;
        backend.copy_later(stream, kCpu, way_->block.data() + way_->places[i], device, x.raw(),
                           x.spec().bytes());
    }
    way_->arrived.record(stream);
}

const std::vector<Tensor>& Fetch::get() {
    if (!way_) return here_;
    way_->arrived.wait();
    for (std::size_t i = 0; i < here_.size(); ++i) {
        Tensor& x = here_[i];
        if (!x.defined() || !cuda::on_cuda(x)) continue;
        Spec spec = x.spec();
        spec.device = kCpu;
        Tensor arrived(spec);
        if (arrived.elements() > 0)
            std::memcpy(arrived.mutable_raw(), way_->block.data() + way_->places[i], spec.bytes());
        x = arrived;
    }
    way_.reset();
    return here_;
}

}  // namespace microtome
