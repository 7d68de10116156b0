#include "base/atomic_file.hpp"
#include "base/error.hpp"
#include "data/array_dataset.hpp"
#include "data/formats.hpp"

#include <algorithm>
#include <filesystem>
#include <sstream>

namespace microtome {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kSide = 32, kPlane = kSide * kSide, kRecord = 1 + 3 * kPlane, kClasses = 10;
constexpr std::size_t kMaxFileBytes = std::size_t{1} << 32;

// One name a line.
std::vector<std::string> class_names(const fs::path& folder) {
    const fs::path file = folder / "batches.meta.txt";
    if (!fs::exists(file))
        return {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"};
    std::istringstream lines(read_file(file.string(), 1 << 16));
    std::vector<std::string> names;
    for (std::string line; std::getline(lines, line);) {
        if (line.ends_with('\r')) line.pop_back();
        if (!line.empty()) names.push_back(line);
    }
    if (names.size() != kClasses)
        throw FormatError(file.string(),
                          str("expected the names of ", kClasses, " classes, got ", names.size()));
    return names;
}

// Records of a label and three planes, red, green, blue.
void add_file(ArrayDataset& set, const fs::path& file) {
    const std::string bytes = read_file(file.string(), kMaxFileBytes);
    if (bytes.empty() || bytes.size() % kRecord != 0)
        throw FormatError(
            file.string(),
            str("expected records of ", kRecord, " bytes, as CIFAR-10 has, got ", bytes.size(), " bytes"),
            "it was cut short, or is something else");
    const auto count = static_cast<int64_t>(bytes.size()) / kRecord;
    Tensor images(Spec{{count, kSide, kSide, 3}, Dtype::u8, kCpu});
    uint8_t* to = images.mutable_data<uint8_t>().data();
    std::vector<int64_t> labels;
    for (int64_t i = 0; i < count; ++i) {
        const char* record = bytes.data() + i * kRecord;
        labels.push_back(static_cast<uint8_t>(record[0]));
        for (int64_t pixel = 0; pixel < kPlane; ++pixel)
            for (int64_t channel = 0; channel < 3; ++channel)
                *to++ = static_cast<uint8_t>(record[1 + channel * kPlane + pixel]);
    }
    const std::string prefix = file.stem().string();
    set.add(prefix,
            prefix.starts_with("data_batch") ? "train"
            : prefix.starts_with("test")     ? "test"
                                             : "",
            images, labels);
}

}  // namespace

bool is_cifar10_file(const std::string& name) {
    return (name.starts_with("data_batch") || name.starts_with("test_batch")) && name.ends_with(".bin");
}

std::unique_ptr<Dataset> open_cifar10(const std::string& path) {
    std::vector<fs::path> files;
    if (fs::is_directory(path)) {
        for (const auto& entry : fs::directory_iterator(path))
            if (is_cifar10_file(entry.path().filename().string())) files.push_back(entry.path());
    } else {
        files.push_back(path);
    }
    std::sort(files.begin(), files.end());
    auto set = std::make_unique<ArrayDataset>(path, class_names(files.at(0).parent_path()));
    for (const fs::path& file : files) add_file(*set, file);
    return set;
}

}  // namespace microtome
