#include "data/loader.hpp"

#include "base/error.hpp"
#include "data/convert.hpp"
#include "data/device_feed.hpp"
#include "data/image.hpp"
#include "data/prefetch.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <map>
#include <mutex>

namespace microtome {
namespace {

void require(bool fits, const char* what, int64_t got) {
    if (!fits) throw OptionsError("loader", str("expected ", what, ", got ", got));
}

void require_options(const LoaderOptions& o) {
    require(o.batch >= 1, "1 image or more in a batch", o.batch);
    require(o.height >= 0 && o.height <= kMaxImageSide, "a height from 0 to 16384 pixels", o.height);
    require(o.width >= 0 && o.width <= kMaxImageSide, "a width from 0 to 16384 pixels", o.width);
    require((o.height == 0) == (o.width == 0), "height and width both given, or both 0", o.width);
    require(o.channels == 0 || o.channels == 1 || o.channels == 3, "1 or 3 channels, or 0 for as stored",
            o.channels);
    require(o.threads >= 0 && o.threads <= 256, "0 to 256 threads", o.threads);
    require(o.prefetch >= 1, "1 batch or more ahead", o.prefetch);
    require_augmentation(o.augmentation);
}

// u / 255, rounded once.
Tensor as_floats(const Tensor& image) {
    static const std::array<float, 256> values = [] {
        std::array<float, 256> table{};
        for (int i = 0; i < 256; ++i) table[i] = pixels::as_float(static_cast<uint8_t>(i));
        return table;
    }();
    Tensor result(Spec{image.shape(), Dtype::f32, kCpu});
    const std::span<const uint8_t> from = image.data<uint8_t>();
    const std::span<float> to = result.mutable_data<float>();
    for (std::size_t i = 0; i < from.size(); ++i) to[i] = values[from[i]];
    return result;
}

}  // namespace

// An image on its way into a batch, or what is wrong with its file.
struct Loader::Prepared {
    int64_t place = 0;     // in the list of indices
    int64_t id = 0;        // in the data set
    Tensor pixels{};       // (H,W,C): f32, augmented; on their way to a GPU as stored, u8
    PixelChange change{};  // there: how to augment them
    std::string damage{};
};

// What the threads work with. In an epoch each place belongs to one call of make().
struct Loader::Pipeline {
    struct Kept {
        Tensor pixels{};  // u8 (H,W,C), as it is before augmentation
        std::string damage{};
    };

    Pipeline(const Dataset& set, std::vector<int64_t> places, const LoaderOptions& o)
        : dataset(set),
          indices(std::move(places)),
          options(o),
          keeps(indices.size()),
          // Only balanced epochs have places that two threads may meet at.
          in_use(o.balanced ? indices.size() : 0),
          prefetcher(o.threads, std::max<int64_t>(o.threads, o.prefetch * o.batch),
                     [this](int64_t position) { return make(position); }) {}

    void start(int64_t new_epoch) {
        prefetcher.stop();
        epoch = static_cast<uint32_t>(new_epoch);
        const auto count = static_cast<int64_t>(indices.size());
        if (options.balanced) {
            draw_balanced();
        } else if (options.shuffle) {
            order = random_permutation({options.seed, purpose_of("shuffle"), 0, 0, epoch}, count);
        } else {
            order.resize(indices.size());
            for (int64_t i = 0; i < count; ++i) order[i] = i;
        }
        prefetcher.start(count);
    }

    // The places of a balanced epoch in their order, and the how-manieth time each is met.
    void draw_balanced() {
        std::map<int64_t, std::vector<int64_t>> places;  // by class
        const auto count = static_cast<int64_t>(indices.size());
        for (int64_t place = 0; place < count; ++place)
            places[dataset.samples()[indices[place]].label].push_back(place);
        const auto classes = static_cast<int64_t>(places.size());
        std::vector<std::pair<int64_t, uint32_t>> drawn;
        int64_t nth = epoch % std::max<int64_t>(1, classes);  // whose turn it is to have one more
        for (const auto& [label, of_class] : places) {
            const auto size = static_cast<int64_t>(of_class.size());
            const int64_t share = count / classes + (nth < count % classes);
            nth = (nth + 1) % classes;
            for (int64_t i = 0; i < share; i += size) {
                const auto time = static_cast<uint32_t>(i / size);
                const std::vector<int64_t> permuted = random_permutation(
                    {options.seed, purpose_of("balance"), static_cast<uint64_t>(label), time, epoch}, size);
                for (int64_t k = 0; k < std::min(size, share - i); ++k)
                    drawn.emplace_back(of_class[permuted[k]], time);
            }
        }
        order.clear();
        times.clear();
        for (int64_t i : random_permutation({options.seed, purpose_of("shuffle"), 0, 0, epoch}, count)) {
            order.push_back(drawn[i].first);
            times.push_back(drawn[i].second);
        }
    }

    Prepared make(int64_t position) {
        const ThreadLimit alone(1);  // these threads are all that decoding may use
        const int64_t place = order[position], id = indices[place];
        Prepared result{.place = place, .id = id};
        Tensor stored;
        {
            std::unique_lock<std::mutex> lock;
            if (options.balanced) lock = std::unique_lock(in_use[place]);
            stored = decoded(place);
            result.damage = keeps[place].damage;
        }
        if (!stored.defined()) return result;
        const uint32_t time = options.balanced ? times[position] : 0;
        const RandomKey key{options.seed, purpose_of("augment"), static_cast<uint64_t>(id), time, epoch};
        if (options.device == kCpu) {
            result.pixels = augment(as_floats(stored), options.augmentation, key);
            return result;
        }
        result.pixels = stored;
        if (!options.augmentation.nothing())
            result.change =
                pixel_change(draw_change(options.augmentation, key, stored.size(0), stored.size(1)),
                             options.augmentation.border, stored.size(0), stored.size(1));
        return result;
    }

    // The image as it is in every epoch; undefined when it is damaged.
    Tensor decoded(int64_t place) {
        Kept& kept = keeps[place];
        if (kept.pixels.defined() || !kept.damage.empty()) return kept.pixels;
        Tensor image;
        try {
            image = dataset.read(indices[place]);
        } catch (const FormatError& error) {
            if (options.strict) throw;
            kept.damage = error.what();
            return {};
        } catch (const IoError& error) {
            if (options.strict) throw;
            kept.damage = error.what();
            return {};
        }
        if (options.channels == 1) image = grey(image);
        if (options.height > 0) image = resized(image, options.height, options.width);
        if (options.channels == 3) image = colour(image);
        const auto bytes = image.spec().bytes();
        if (!dataset.in_memory() || options.height > 0) {
            if (cached.fetch_add(bytes) + bytes <= options.cache_bytes)
                kept.pixels = image;
            else
                cached.fetch_sub(bytes);
        }
        return image;
    }

    const Dataset& dataset;
    const std::vector<int64_t> indices;
    const LoaderOptions options;
    std::vector<Kept> keeps;         // by place
    std::vector<std::mutex> in_use;  // likewise
    std::atomic<std::size_t> cached{0};
    std::vector<int64_t> order;
    std::vector<uint32_t> times;  // balanced: how often the place at a position was met before
    uint32_t epoch = 0;
    Prefetcher<Prepared> prefetcher;  // the last member: its threads end before anything else does
};

Loader::Loader(const Dataset& dataset, std::vector<int64_t> indices, LoaderOptions options)
    : dataset_(dataset), options_(options) {
    require_options(options_);
    for (int64_t index : indices)
        require(index >= 0 && index < dataset.size(), str("indices below ", dataset.size()).c_str(), index);
    known_.resize(indices.size());
    if (!(options_.device == kCpu)) feed_ = std::make_unique<DeviceFeed>(options_.device);
    pipeline_ = std::make_unique<Pipeline>(dataset, std::move(indices), options_);
}

Loader::~Loader() = default;

void Loader::start(int64_t epoch) {
    require(epoch >= 0 && epoch < (int64_t{1} << 32), "an epoch from 0 to 2^32 - 1", epoch);
    pipeline_->start(epoch);
    position_ = delivered_ = 0;
}

std::optional<Batch> Loader::next() {
    if (position_ < 0) throw Error("loader", "expected start() before next()");
    const auto all = static_cast<int64_t>(pipeline_->indices.size());
    std::vector<Prepared> images;
    while (static_cast<int64_t>(images.size()) < options_.batch && position_ < all) {
        Prepared image = pipeline_->prefetcher.take();
        ++position_;
        if (image.pixels.defined()) {
            require_shape(image);
            images.push_back(std::move(image));
        } else {
            skip(image);
        }
    }
    const auto count = static_cast<int64_t>(images.size());
    delivered_ += count;
    if (delivered_ == 0 && all > 0)
        throw FormatError(dataset_.path(), str("expected images, got ", all, " damaged files"),
                          skipped_.front().reason);
    if (count == 0 || (options_.drop_last && count < options_.batch)) return std::nullopt;

    return feed_ ? sent(images) : gathered(images);
}

Batch Loader::gathered(const std::vector<Prepared>& images) const {
    const auto count = static_cast<int64_t>(images.size());
    Batch batch{.images = Tensor(Spec{{count, shape_[0], shape_[1], shape_[2]}, Dtype::f32, kCpu}),
                .targets = Tensor(Spec{{count}, Dtype::i64, kCpu})};
    float* to = batch.images.mutable_data<float>().data();
    const std::span<int64_t> targets = batch.targets.mutable_data<int64_t>();
    for (int64_t i = 0; i < count; ++i) {
        to = std::copy_n(images[i].pixels.data<float>().data(), images[i].pixels.elements(), to);
        targets[i] = dataset_.samples()[images[i].id].label;
        batch.ids.push_back(images[i].id);
    }
    return batch;
}

Batch Loader::sent(const std::vector<Prepared>& images) {
    Tensors stored;
    std::vector<PixelChange> changes;
    std::vector<int64_t> classes, ids;
    for (const Prepared& image : images) {
        stored.push_back(image.pixels);
        if (!options_.augmentation.nothing()) changes.push_back(image.change);
        classes.push_back(dataset_.samples()[image.id].label);
        ids.push_back(image.id);
    }
    Batch batch = feed_->send(stored, changes, classes);
    batch.ids = std::move(ids);
    return batch;
}

int64_t Loader::images() const {
    const int64_t good = static_cast<int64_t>(pipeline_->indices.size()) - (options_.balanced ? 0 : damaged_);
    return options_.drop_last ? good / options_.batch * options_.batch : good;
}

int64_t Loader::batches() const {
    return (images() + options_.batch - 1) / options_.batch;
}

void Loader::skip(const Prepared& image) {
    if (known_[image.place]) return;
    known_[image.place] = true;
    ++damaged_;
    const auto place = std::lower_bound(skipped_.begin(), skipped_.end(), image.id,
                                        [](const SkippedImage& other, int64_t id) { return other.id < id; });
    if (place == skipped_.end() || place->id != image.id)  // an index may be in the list twice
        skipped_.insert(place, {image.id, dataset_.samples()[image.id].name, image.damage});
}

void Loader::require_shape(const Prepared& image) {
    const std::string& name = dataset_.samples()[image.id].name;
    if (shape_named_.empty()) {
        shape_ = image.pixels.shape();
        shape_named_ = name;
    }
    if (image.pixels.shape() != shape_)
        throw ShapeError("loader",
                         str("expected images of one size, got ", shape_named_, ' ', shape_, " and ", name,
                             ' ', image.pixels.shape()),
                         "give a height and a width to resize them to");
}

}  // namespace microtome
