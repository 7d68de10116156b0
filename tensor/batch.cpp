#include "tensor/batch.hpp"

#include "base/error.hpp"

#include <algorithm>

namespace microtome {
namespace {

void require_one_per_image(const Batch& batch) {
    if (!batch.images.defined() || batch.images.rank() == 0)
        throw ShapeError("batch", str("expected images, got ", batch.images));
    int64_t n = batch.images.size(0);
    if (batch.targets.defined() && (batch.targets.rank() == 0 || batch.targets.size(0) != n))
        throw ShapeError("batch", str("expected a target for each of ", n, " images, got ", batch.targets));
    if (!batch.ids.empty() && static_cast<int64_t>(batch.ids.size()) != n)
        throw ShapeError("batch",
                         str("expected an id for each of ", n, " images or none, got ", batch.ids.size()));
}

Tensor rows(const Tensor& x, int64_t first, int64_t last) {
    int64_t row = x.elements() == 0 ? 0 : x.elements() / x.size(0);
    return x.view(x.shape().with(0, last - first), first * row);
}

Tensor rows(const Tensor& x, const std::vector<int64_t>& places) {
    Tensor result(Spec{x.shape().with(0, static_cast<int64_t>(places.size())), x.dtype(), x.device()});
    const int64_t row = x.elements() == 0 ? 0 : x.elements() / x.size(0);
    const Shape one = x.shape().with(0, 1);
    for (std::size_t i = 0; i < places.size(); ++i)
        result.view(one, static_cast<int64_t>(i) * row).copy_from(x.view(one, places[i] * row));
    return result;
}

}  // namespace

Batch slice(const Batch& batch, int64_t first, int64_t last) {
    require_one_per_image(batch);
    if (first < 0 || last < first || last > batch.images.size(0))
        throw ShapeError("batch",
                         str("expected images within ", batch.images.size(0), ", got ", first, " to ", last));
    Batch result{.images = rows(batch.images, first, last)};
    if (batch.targets.defined()) result.targets = rows(batch.targets, first, last);
    for (int64_t i = first; i < last; ++i) result.ids.push_back(batch.ids.empty() ? i : batch.ids[i]);
    return result;
}

Batch select(const Batch& batch, const std::vector<int64_t>& places) {
    require_one_per_image(batch);
    for (int64_t place : places)
        if (place < 0 || place >= batch.images.size(0))
            throw ShapeError("batch",
                             str("expected places within ", batch.images.size(0), " images, got ", place));
    Batch result{.images = rows(batch.images, places)};
    if (batch.targets.defined()) result.targets = rows(batch.targets, places);
    for (int64_t place : places) result.ids.push_back(batch.ids.empty() ? place : batch.ids[place]);
    return result;
}

Batch to(const Batch& batch, Device device) {
    return {batch.images.to(device), batch.targets.to(device), batch.ids};
}

MemoryBatches::MemoryBatches(Batch all, int64_t size) : all_(std::move(all)), size_(size) {
    require_one_per_image(all_);
    if (size < 1) throw OptionsError("batches", str("expected 1 image or more in a batch, got ", size));
}

void MemoryBatches::start(int64_t) {
    position_ = 0;
}

std::optional<Batch> MemoryBatches::next() {
    if (position_ < 0) throw Error("batches", "expected start() before next()");
    if (position_ == images()) return std::nullopt;
    int64_t first = position_;
    position_ = std::min(images(), first + size_);
    return slice(all_, first, position_);
}

int64_t MemoryBatches::images() const {
    return all_.images.size(0);
}
int64_t MemoryBatches::batches() const {
    return (images() + size_ - 1) / size_;
}

}  // namespace microtome
