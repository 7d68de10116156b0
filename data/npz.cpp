#include "base/atomic_file.hpp"
#include "base/error.hpp"
#include "base/zip.hpp"
#include "data/array_dataset.hpp"
#include "data/formats.hpp"
#include "tensor/npy.hpp"

#include <algorithm>

namespace microtome {
namespace {

constexpr std::size_t kMaxFileBytes = std::size_t{1} << 32;
constexpr int64_t kMostClasses = 4096;

const ZipMember* find(const std::vector<ZipMember>& members, const std::string& key) {
    const auto found = std::find_if(members.begin(), members.end(),
                                    [&](const ZipMember& member) { return member.name == key + ".npy"; });
    return found == members.end() ? nullptr : &*found;
}

// Those that images and labels are made of.
Tensor integers_of(const ZipMember& member, const std::string& file) {
    const std::string name = str(file, ": ", member.name);
    ByteStream stream = open_member(member, name, kMaxFileBytes);
    Tensor array = read_npy(stream, member.size, name);
    require_sound_end(member, stream, name);
    if (is_floating(array.dtype()))
        throw FormatError(name, str("expected integers, got elements of the type ", array.dtype()));
    return array;
}

std::vector<int64_t> labels_of(const Tensor& array, const std::string& name) {
    if (array.rank() == 2 && array.size(1) > 1)
        throw FormatError(name, str("expected one label an image, got ", array.shape()),
                          "several labels an image are not read");
    if (array.rank() != 1 && array.rank() != 2)
        throw FormatError(name, str("expected labels (N) or (N,1), got ", array.shape()));
    std::vector<int64_t> labels;
    if (array.dtype() == Dtype::u8)
        labels.assign(array.data<uint8_t>().begin(), array.data<uint8_t>().end());
    else
        labels.assign(array.data<int64_t>().begin(), array.data<int64_t>().end());
    for (int64_t label : labels)
        if (label < 0 || label >= kMostClasses)
            throw FormatError(name, str("expected classes from 0 to ", kMostClasses - 1, ", got ", label));
    return labels;
}

Tensor images_of(const Tensor& array, const std::string& name) {
    const Shape& shape = array.shape();
    if (array.dtype() != Dtype::u8)
        throw FormatError(name, str("expected images of bytes (u1), got ", array.dtype()));
    if (shape.rank() == 3) return array.view({shape[0], shape[1], shape[2], 1});
    if (shape.rank() != 4 || (shape[3] != 1 && shape[3] != 3))
        throw FormatError(name, str("expected images (N,H,W) or (N,H,W,3), got ", shape));
    return array;
}

}  // namespace

std::unique_ptr<Dataset> open_npz(const std::string& file) {
    const std::string archive = read_file(file, kMaxFileBytes);
    const std::vector<ZipMember> members = zip_members(archive, file);

    struct Part {
        std::string name;
        Tensor images;
        std::vector<int64_t> labels;
    };
    std::vector<Part> parts;
    int64_t classes = 0;
    for (const char* part : {"train", "val", "test"}) {
        const std::string images = str(part, "_images"), labels = str(part, "_labels");
        const ZipMember *of_images = find(members, images), *of_labels = find(members, labels);
        if (!of_images && !of_labels) continue;
        if (!of_images || !of_labels)
            throw FormatError(
                file, str("expected ", images, " and ", labels, ", got only ", of_images ? images : labels));
        parts.push_back({part, images_of(integers_of(*of_images, file), str(file, ": ", images)),
                         labels_of(integers_of(*of_labels, file), str(file, ": ", labels))});
        for (int64_t label : parts.back().labels) classes = std::max(classes, label + 1);
    }
    if (parts.empty()) {
        std::string got;
        for (std::size_t i = 0; i < std::min<std::size_t>(members.size(), 6); ++i)
            got += str(i ? ", " : "", members[i].name);
        throw FormatError(
            file,
            str("expected the arrays train_images, train_labels and so on for val and test, got ",
                members.empty() ? "nothing" : got, members.size() > 6 ? ", ..." : ""),
            "a zip of images must be unpacked first");
    }
    auto set = std::make_unique<ArrayDataset>(file, numbered_classes(classes));
    for (const Part& part : parts) set->add(part.name, part.name, part.images, part.labels);
    return set;
}

}  // namespace microtome
