#include "data/image_files.hpp"

#include "base/error.hpp"
#include "base/letters.hpp"
#include "data/image.hpp"

#include <algorithm>
#include <set>

namespace microtome {
namespace {

bool ends_with_any(std::string_view name, std::initializer_list<std::string_view> endings) {
    const std::string lower = lower_case(name);
    return std::any_of(endings.begin(), endings.end(),
                       [&](std::string_view ending) { return lower.ends_with(ending); });
}

}  // namespace

ImageFiles::ImageFiles(std::string folder, std::vector<File> files, std::vector<std::string> notes) {
    path_ = std::move(folder);
    notes_ = std::move(notes);
    std::set<std::string> names;
    for (const File& file : files) names.insert(file.class_name);
    classes_.assign(names.begin(), names.end());

    std::sort(files.begin(), files.end(), [](const File& a, const File& b) { return a.name < b.name; });
    for (File& file : files) {
        if (!samples_.empty() && samples_.back().name == file.name)
            throw FormatError(path_, str("expected every image once, got ", file.name, " twice"));
        const auto place = std::lower_bound(classes_.begin(), classes_.end(), file.class_name);
        samples_.push_back(
            {std::move(file.name), place - classes_.begin(), std::move(file.group), std::move(file.part)});
    }
}

Tensor ImageFiles::read(int64_t i) const {
    return read_image(path_ + '/' + samples_.at(i).name);
}

bool is_image_name(std::string_view name) {
    return ends_with_any(name, {".jpg", ".jpeg", ".png", ".bmp", ".pgm", ".ppm", ".pnm"});
}

bool is_foreign_image_name(std::string_view name) {
    return ends_with_any(name, {".tif", ".tiff", ".gif", ".webp", ".dcm", ".jp2", ".svs", ".nii", ".nii.gz"});
}

std::string part_of_path(std::string_view path) {
    for (std::size_t slash; (slash = path.find('/')) != std::string_view::npos;
         path.remove_prefix(slash + 1)) {
        const std::string_view folder = path.substr(0, slash);
        if (std::string part = part_named(folder); !part.empty()) return part;
        if (lower_case(folder).starts_with("additional")) return "train";
    }
    return "";
}

}  // namespace microtome
