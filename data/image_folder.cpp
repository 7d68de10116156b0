#include "base/error.hpp"
#include "data/find_images.hpp"
#include "data/formats.hpp"
#include "data/image_files.hpp"

namespace microtome {
namespace {

// The first folder within `folder` that has images, or nothing.
std::string inner_folder(const FoundImages& found, const std::string& folder) {
    const auto next = found.images.lower_bound(folder + '/');
    return next != found.images.end() && next->first.starts_with(folder + '/') ? next->first : "";
}

}  // namespace

std::unique_ptr<Dataset> open_image_folder(const std::string& root) {
    const FoundImages found = find_images(root);
    std::vector<ImageFiles::File> files;
    std::vector<std::string> notes;
    for (const auto& [folder, names] : found.images) {
        const std::string class_name = last_name(folder);
        if (folder.empty() || !part_named(class_name).empty()) {
            notes.push_back(str(names.size(), " images right in ", folder.empty() ? root : folder,
                                " have no class and were left out"));
            continue;
        }
        if (const std::string inner = inner_folder(found, folder); !inner.empty())
            throw FormatError(root,
                              str("expected images in innermost folders, named for their class, got some in ",
                                  folder, " and some in ", inner),
                              "move one kind elsewhere, or list what counts in a manifest.csv");
        for (const std::string& name : names)
            files.push_back({folder + '/' + name, class_name, "", part_of_path(folder + '/')});
    }
    if (found.foreign > 0)
        notes.push_back(str(found.foreign, " images of a kind that is not read (", found.a_foreign_one,
                            ") were left out"));
    if (files.empty()) {
        std::string got = "none";
        for (const std::string& note : notes) got += str("; ", note);
        throw FormatError(root, "expected a folder of images for each class, got " + got,
                          "JPEG, PNG, BMP, PGM and PPM are read");
    }
    return std::make_unique<ImageFiles>(root, std::move(files), std::move(notes));
}

}  // namespace microtome
