// From a data set to batches: decodes, resizes, shuffles and augments on threads, ahead of who uses them.
#pragma once

#include "data/augment.hpp"
#include "data/dataset.hpp"
#include "tensor/batch.hpp"

#include <memory>
#include <string>
#include <vector>

namespace microtome {

class DeviceFeed;

struct LoaderOptions {
    int64_t batch = 32;    // images
    bool shuffle = false;  // a new order in every epoch
    // Every class as often as every other: an epoch still has as many images as there are, but shows those of
    // rare classes several times and leaves out some of frequent ones, others in every epoch. Shuffles, too.
    bool balanced = false;
    uint64_t seed = 0;  // of order and augmentation
    Augmentation augmentation{};
    int64_t height = 0;      // pixels; 0: as stored, and then all images must have one size
    int64_t width = 0;       // both or none
    int64_t channels = 3;    // 3: grey is repeated; 1: colour becomes .299 R + .587 G + .114 B; 0: as stored
    bool drop_last = false;  // leaves out a last batch that has fewer images
    bool strict = false;     // a damaged image is an error
    int threads = 2;         // that decode ahead; 0: none, decodes when asked. No result depends on it
    int64_t prefetch = 2;    // batches ahead
    std::size_t cache_bytes = std::size_t{1}
                              << 30;  // of decoded images, so as to decode them in one epoch only
    // Where images and targets are to be. To a GPU they go as bytes, ahead of its work, and are augmented
    // there (device_feed.hpp), with the same bits.
    Device device = kCpu;
};

// A file that could not be read as an image.
struct SkippedImage {
    int64_t id;  // index in the data set
    std::string name;
    std::string reason;
};

// Batches of some images of a data set; a batch's ids are indices in the data set, its targets the classes.
//
// A resized image is rounded to 8 bits as if it had been stored at that size, so that it can be kept and
// saved without loss; the kernel is the models' own (bilinear, half-pixel centres, no antialias). The order
// of epoch e is random_permutation(seed, "shuffle", step e), the augmentation of image i is drawn from (seed,
// "augment", sample i, step e). Balanced, the share of each class that is there is N / classes, rounded so
// that all make N, and filled by random_permutation(seed, "balance", sample class, restart r, step e) of its
// images for r = 0, 1, ...; an image's time r in an epoch is augmented by draws of restart r.
//
// Damaged images are listed and skipped, and the images behind them move up: batches are full, and which
// images meet in one does not depend on what happened in other epochs. Until an image is found to be damaged,
// images() counts it: it is exact from the end of the first epoch on. Balanced epochs are shorter by as many
// images as are damaged of those they drew, and images() counts them all.
class Loader : public BatchSource {
  public:
    // The data set must outlive the loader. Throws OptionsError for an index outside it, and for options out
    // of their range, DeviceError for a device that is not there.
    Loader(const Dataset& dataset, std::vector<int64_t> indices, LoaderOptions options = {});
    ~Loader() override;  // at any moment
    Loader(const Loader&) = delete;
    Loader& operator=(const Loader&) = delete;

    void start(int64_t epoch) override;  // OptionsError unless 0 <= epoch < 2^32
    // Throws ShapeError when images that are not to be resized differ in size, FormatError when all are
    // damaged, or, if strict, when one is; and what Dataset::read() throws besides FormatError and IoError.
    std::optional<Batch> next() override;
    int64_t images() const override;
    int64_t batches() const override;

    const Dataset& dataset() const { return dataset_; }
    // So far, in the order of the data set.
    const std::vector<SkippedImage>& skipped() const { return skipped_; }

  private:
    struct Prepared;
    struct Pipeline;

    void skip(const Prepared& image);
    void require_shape(const Prepared& image);
    Batch gathered(const std::vector<Prepared>& images) const;
    Batch sent(const std::vector<Prepared>& images);

    const Dataset& dataset_;
    LoaderOptions options_;
    int64_t position_ = -1;    // in the epoch's order; -1: not started
    int64_t delivered_ = 0;    // images in the epoch
    std::vector<bool> known_;  // by place in the indices: known to be damaged
    int64_t damaged_ = 0;      // how many of them
    std::vector<SkippedImage> skipped_;
    Shape shape_{};                     // of the first image
    std::string shape_named_;           // which one that was
    std::unique_ptr<DeviceFeed> feed_;  // null: batches stay on the CPU
    std::unique_ptr<Pipeline> pipeline_;
};

}  // namespace microtome
