#include "data/array_dataset.hpp"

#include "base/error.hpp"

#include <algorithm>

namespace microtome {

ArrayDataset::ArrayDataset(std::string path, std::vector<std::string> classes) {
    path_ = std::move(path);
    classes_ = std::move(classes);
}

void ArrayDataset::add(const std::string& prefix, const std::string& part, const Tensor& images,
                       std::span<const int64_t> labels) {
    const auto fail = [&](const std::string& what) { throw FormatError(path_, prefix + ": " + what); };
    const Shape& shape = images.shape();
    if (images.dtype() != Dtype::u8 || shape.rank() != 4 || shape[1] < 1 || shape[2] < 1 ||
        (shape[3] != 1 && shape[3] != 3))
        fail(str("expected images u8 (N,H,W,1) or (N,H,W,3), got ", images.spec()));
    if (static_cast<int64_t>(labels.size()) != shape[0])
        fail(str("expected a label for each of ", shape[0], " images, got ", labels.size()));
    blocks_.push_back({size(), images});
    samples_.reserve(samples_.size() + labels.size());
    for (std::size_t i = 0; i < labels.size(); ++i) {
        if (labels[i] < 0 || labels[i] >= static_cast<int64_t>(classes_.size()))
            fail(str("expected a class below ", classes_.size(), " for image ", i, ", got ", labels[i]));
        samples_.push_back({str(prefix, '/', i), labels[i], "", part});
    }
}

Tensor ArrayDataset::read(int64_t i) const {
    static_cast<void>(samples_.at(i));
    const auto after =
        std::upper_bound(blocks_.begin(), blocks_.end(), i,
                         [](int64_t index, const Block& block) { return index < block.first; });
    const Block& block = *std::prev(after);
    const Shape image = block.images.shape().without(0);
    return block.images.view(image, (i - block.first) * image.elements()).clone();
}

}  // namespace microtome
