#include "data/open.hpp"

#include "base/error.hpp"
#include "base/letters.hpp"
#include "data/formats.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <set>

namespace microtome {
namespace {

namespace fs = std::filesystem;

bool has_ending(const std::string& name, std::string_view ending) {
    return lower_case(name).ends_with(ending);
}

std::unique_ptr<Dataset> open_folder(const std::string& path) {
    std::vector<std::string> names;
    std::error_code problem;
    for (fs::directory_iterator entry(path, problem), end; !problem && entry != end; entry.increment(problem))
        names.push_back(entry->path().filename().string());
    if (problem) throw IoError(path, str("cannot list the folder: ", problem.message()));
    std::sort(names.begin(), names.end());

    if (std::find(names.begin(), names.end(), "manifest.csv") != names.end())
        return open_manifest(path + "/manifest.csv");
    if (is_mobileodt(path)) return open_mobileodt(path);
    if (std::any_of(names.begin(), names.end(), is_idx_images)) return open_idx(path);
    if (std::any_of(names.begin(), names.end(), is_cifar10_file)) return open_cifar10(path);
    auto is_npz = [](const std::string& name) { return has_ending(name, ".npz"); };
    if (const auto archives = std::count_if(names.begin(), names.end(), is_npz); archives == 1)
        return open_npz(path + '/' + *std::find_if(names.begin(), names.end(), is_npz));
    else if (archives > 1)
        throw FormatError(path, str("expected one data set, got ", archives, " .npz files"), "name the file");
    return open_image_folder(path);
}

std::unique_ptr<Dataset> open_file(const std::string& path) {
    std::array<char, 4> start{};
    std::ifstream file(path, std::ios::binary);
    if (!file) throw IoError(path, "cannot be read");
    file.read(start.data(), start.size());
    const std::string_view magic(start.data(), static_cast<std::size_t>(file.gcount()));
    const std::string name = fs::path(path).filename().string();

    if (magic.starts_with("PK")) return open_npz(path);
    if (magic.starts_with("\x1f\x8b") || magic.starts_with(std::string_view("\0\0\x08", 3)))
        return open_idx(path);
    if (is_idx_images(name)) return open_idx(path);
    if (has_ending(name, ".npz")) return open_npz(path);
    if (has_ending(name, ".csv")) return open_manifest(path);
    if (has_ending(name, ".bin")) return open_cifar10(path);
    throw FormatError(
        path, "expected a data set, got a file of no kind we know",
        "a folder with a folder of images per class, a manifest.csv, a MedMNIST .npz, MNIST IDX "
        "files or CIFAR-10's binary files");
}

void require_classes(const Dataset& set) {
    std::set<int64_t> present;
    for (const Sample& sample : set.samples()) present.insert(sample.label);
    if (present.empty()) throw FormatError(set.path(), "expected images, got an empty set");
    if (present.size() == 1)
        throw FormatError(set.path(),
                          str("expected images of two classes or more, got ", set.size(), " of one: \"",
                              set.classes()[*present.begin()], '"'),
                          "give the folder that holds a folder for each class");
}

}  // namespace

std::unique_ptr<Dataset> open_dataset(const std::string& path) {
    std::error_code problem;
    const fs::file_status status = fs::status(path, problem);
    if (status.type() == fs::file_type::not_found) throw MissingFileError(path, "no such file or folder");
    if (!fs::status_known(status)) throw IoError(path, str("cannot be read: ", problem.message()));
    std::unique_ptr<Dataset> set = fs::is_directory(status) ? open_folder(path) : open_file(path);
    require_classes(*set);
    return set;
}

std::vector<std::string> numbered_classes(int64_t count) {
    const std::size_t digits = std::to_string(std::max<int64_t>(count - 1, 0)).size();
    std::vector<std::string> names;
    for (int64_t i = 0; i < count; ++i) {
        const std::string number = std::to_string(i);
        names.push_back(std::string(digits - number.size(), '0') + number);
    }
    return names;
}

}  // namespace microtome
