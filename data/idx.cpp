#include "base/atomic_file.hpp"
#include "base/byte_stream.hpp"
#include "base/error.hpp"
#include "base/letters.hpp"
#include "data/array_dataset.hpp"
#include "data/formats.hpp"
#include "data/image.hpp"

#include <algorithm>
#include <array>
#include <filesystem>

namespace microtome {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxFileBytes = std::size_t{1} << 32;

// An array u8: two zeros, 8 for the type, the number of axes, their sizes as 32 bits, big end first; then the
// elements.
Tensor read_idx(const std::string& file, int axes) {
    const std::string bytes = read_file(file, kMaxFileBytes);
    ByteStream stream(bytes, bytes.starts_with("\x1f\x8b") ? Packing::gzip : Packing::none, file);
    std::array<std::byte, 4> word{};
    auto next_word = [&] {
        stream.read(word);
        uint32_t value = 0;
        for (std::byte byte : word) value = value << 8 | static_cast<uint32_t>(byte);
        return value;
    };
    const uint32_t magic = next_word();
    if (magic != (0x800u | static_cast<uint32_t>(axes)))
        throw FormatError(file, str("expected the IDX number ", 0x800 | axes, " for bytes on ", axes,
                                    axes == 1 ? " axis" : " axes", ", got ", magic));
    std::vector<int64_t> sizes;
    uint64_t elements = 1;
    for (int i = 0; i < axes; ++i) {
        sizes.push_back(next_word());
        if (i > 0 && (sizes[i] < 1 || sizes[i] > kMaxImageSide))
            throw FormatError(
                file, str("expected images of 1 to ", kMaxImageSide, " pixels a side, got ", sizes[i]));
        elements *= static_cast<uint64_t>(sizes[i]);  // below 2^32 * 2^14 * 2^14
    }
    if (elements > stream.most())
        throw FormatError(file,
                          str("expected ", elements, " elements, as its header says, got a file of ",
                              bytes.size(), " bytes"),
                          "it was cut short, or is something else");
    Tensor array(Spec{Shape(sizes), Dtype::u8, kCpu});
    stream.read(std::as_writable_bytes(array.mutable_data<uint8_t>()));
    stream.require_end();
    return array;
}

// "t10k-images-idx3-ubyte.gz" is "t10k", then how its labels' file may be called.
struct Name {
    std::string prefix;
    std::string labels;  // without ".gz"
};
bool split_name(std::string name, Name& parts) {
    if (lower_case(name).ends_with(".gz")) name.resize(name.size() - 3);
    for (const char* separator : {"-", "."}) {
        const std::string ending = str("images", separator, "idx3-ubyte");
        if (!name.ends_with(ending)) continue;
        const std::string before = name.substr(0, name.size() - ending.size());
        parts.labels = str(before, "labels", separator, "idx1-ubyte");
        parts.prefix = before.ends_with('-') ? before.substr(0, before.size() - 1) : before;
        if (parts.prefix.empty()) parts.prefix = "images";
        return true;
    }
    return false;
}

std::string part_of_prefix(const std::string& prefix) {
    const std::string lower = lower_case(prefix);
    if (lower.find("train") != std::string::npos) return "train";
    if (lower.find("t10k") != std::string::npos || lower.find("test") != std::string::npos) return "test";
    return lower.find("val") != std::string::npos ? "val" : "";
}

struct Pair {
    std::string prefix, images_file, labels_file;
};

Pair find_pair(const fs::path& folder, const std::string& name) {
    Name parts;
    if (!split_name(name, parts))
        throw FormatError((folder / name).string(),
                          "expected a file of images called PREFIX-images-idx3-ubyte, or so with .gz",
                          "give that one, or the folder: the labels are found beside it");
    for (const char* ending : {"", ".gz"})
        if (const fs::path labels = folder / (parts.labels + ending); fs::exists(labels))
            return {parts.prefix, (folder / name).string(), labels.string()};
    throw MissingFileError((folder / name).string(), str("expected its labels beside it, in ", parts.labels,
                                                         " or ", parts.labels, ".gz"));
}

}  // namespace

bool is_idx_images(const std::string& name) {
    Name parts;
    return split_name(name, parts);
}

std::unique_ptr<Dataset> open_idx(const std::string& path) {
    std::vector<Pair> pairs;
    if (fs::is_directory(path)) {
        for (const auto& entry : fs::directory_iterator(path))
            if (const std::string name = entry.path().filename().string(); is_idx_images(name))
                pairs.push_back(find_pair(path, name));
    } else {
        pairs.push_back(find_pair(fs::path(path).parent_path(), fs::path(path).filename().string()));
    }
    std::sort(pairs.begin(), pairs.end(),
              [](const Pair& a, const Pair& b) { return a.images_file < b.images_file; });

    // How many classes there are is known when all labels have been read.
    std::vector<std::vector<int64_t>> labels;
    int64_t classes = 0;
    for (std::size_t i = 0; i < pairs.size(); ++i) {
        if (i > 0 && pairs[i].prefix == pairs[i - 1].prefix)
            throw FormatError(
                path,
                str("expected each file once, got ", pairs[i - 1].images_file, " and ", pairs[i].images_file),
                "remove one of them");
        const Tensor read = read_idx(pairs[i].labels_file, 1);
        labels.emplace_back(read.data<uint8_t>().begin(), read.data<uint8_t>().end());
        for (int64_t label : labels.back()) classes = std::max(classes, label + 1);
    }
    auto set = std::make_unique<ArrayDataset>(path, numbered_classes(classes));
    for (std::size_t i = 0; i < pairs.size(); ++i) {
        const Tensor images = read_idx(pairs[i].images_file, 3);
        const Shape& shape = images.shape();
        set->add(pairs[i].prefix, part_of_prefix(pairs[i].prefix),
                 images.view({shape[0], shape[1], shape[2], 1}), labels[i]);
    }
    return set;
}

}  // namespace microtome
