#include "data/tissue.hpp"

#include "base/error.hpp"
#include "data/tissue_patterns.hpp"

#include <iomanip>
#include <mutex>
#include <sstream>

namespace microtome {
namespace {

using Draw = void (*)(tissue::Canvas&, const tissue::Origin&);

constexpr Draw kDraw[] = {tissue::draw_colon_glands, tissue::draw_crypts, tissue::draw_lung_glands,
                          tissue::draw_alveoli, tissue::draw_squamous_sheets};

void require_size(int64_t size) {
    if (size < kMinTissueSize || size > kMaxTissueSize)
        throw OptionsError("tissue", str("expected a size of ", kMinTissueSize, " to ", kMaxTissueSize,
                                         " pixels, got ", size));
}

std::string part_of(int64_t index) {
    return index % 10 == 1 ? "val" : (index % 10 == 2 ? "test" : "train");
}

std::string number_text(int64_t index) {
    std::ostringstream out;
    out << std::setw(5) << std::setfill('0') << index;
    return out.str();
}

}  // namespace

const std::vector<std::string>& tissue_class_names() {
    static const std::vector<std::string> names = {"colon_aca", "colon_n", "lung_aca", "lung_n", "lung_scc"};
    return names;
}

Tensor draw_tissue(TissueClass tissue_class, int64_t index, int64_t size, uint64_t seed) {
    require_size(size);
    if (index < 0) throw OptionsError("tissue", str("expected an index of 0 or more, got ", index));
    const auto number = static_cast<uint32_t>(tissue_class);
    const tissue::Origin origin{.seed = seed, .tissue_class = number, .index = static_cast<uint64_t>(index)};
    tissue::Dice dice(origin, "view");
    const float x = dice.uniform(-300, 300), y = dice.uniform(-300, 300), zoom = dice.ratio(0.85f, 1.2f);
    tissue::Canvas canvas(size, {x, y}, dice.any_direction(), zoom);
    kDraw[number](canvas, origin);
    return canvas.develop(origin);
}

// --- the data set ------------------------------------------------------------------------------------------

struct TissueDataset::Cache {
    explicit Cache(std::size_t count) : drawn(count), images(count) {}
    std::vector<std::once_flag> drawn;
    std::vector<Tensor> images;
};

TissueDataset::TissueDataset(const TissueOptions& options) : options_(options) {
    require_size(options.size);
    constexpr int64_t kMost = 100'000;
    if (options.per_class < 1 || options.per_class > kMost)
        throw OptionsError("tissue",
                           str("expected 1 to ", kMost, " images per class, got ", options.per_class));
    path_ = "built-in tissue";
    classes_ = tissue_class_names();
    for (std::size_t label = 0; label < classes_.size(); ++label)
        for (int64_t index = 0; index < options.per_class; ++index) {
            const std::string number = number_text(index), part = part_of(index);
            samples_.push_back({.name = str(part, '/', classes_[label], '/', number, ".png"),
                                .label = static_cast<int64_t>(label),
                                .group = str(classes_[label], '_', number),
                                .part = part});
        }
    cache_ = std::make_unique<Cache>(samples_.size());
}

TissueDataset::~TissueDataset() = default;

Tensor TissueDataset::read(int64_t i) const {
    if (i < 0 || i >= size())
        throw OptionsError("tissue", str("expected an image from 0 to ", size() - 1, ", got ", i));
    const auto place = static_cast<std::size_t>(i);
    std::call_once(cache_->drawn[place], [&] {
        cache_->images[place] = draw_tissue(static_cast<TissueClass>(i / options_.per_class),
                                            i % options_.per_class, options_.size, options_.seed);
    });
    return cache_->images[place].clone();
}

}  // namespace microtome
