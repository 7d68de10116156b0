// Labelled images on their way to a model, a batch at a time.
#pragma once

#include "tensor/tensor.hpp"

#include <optional>
#include <vector>

namespace microtome {

// Images (N, H, W, C) in [0, 1]; targets are classes, i64 (N), or distributions (N, classes), where known; an
// id per image, by which random draws are made: empty stands for 0, 1, ...
struct Batch {
    Tensor images{};
    Tensor targets{};
    std::vector<int64_t> ids{};
};

// Batches one after another, epoch after epoch.
class BatchSource {
  public:
    virtual ~BatchSource() = default;

    // Begins an epoch, in the middle of another if need be. What is random in it, order and augmentation,
    // depends on its number alone, so that a training that goes on after an interruption meets the same.
    virtual void start(int64_t epoch) = 0;
    // The next batch of the epoch; nothing after the last. Throws Error before the first start().
    virtual std::optional<Batch> next() = 0;

    virtual int64_t images() const = 0;   // in an epoch
    virtual int64_t batches() const = 0;  // in an epoch
};

// Images that are in memory, in their order, `size` at a time; the last batch may have fewer.
class MemoryBatches : public BatchSource {
  public:
    // Throws ShapeError when targets or ids are not one per image, OptionsError for a size below 1.
    MemoryBatches(Batch all, int64_t size);

    void start(int64_t epoch) override;
    std::optional<Batch> next() override;
    int64_t images() const override;
    int64_t batches() const override;

  private:
    Batch all_;
    int64_t size_, position_ = -1;  // of the next batch's first image; -1: not started
};

// Images first to last - 1 of a batch, sharing its memory.
Batch slice(const Batch& batch, int64_t first, int64_t last);
// The images at these places, copied.
Batch select(const Batch& batch, const std::vector<int64_t>& places);
// Images and targets on that device; themselves where they are there already.
Batch to(const Batch& batch, Device device);

}  // namespace microtome
