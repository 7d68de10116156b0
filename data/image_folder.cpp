#include "base/error.hpp"
#include "data/formats.hpp"
#include "data/image_files.hpp"

#include <filesystem>
#include <map>
#include <set>

namespace microtome {
namespace {

namespace fs = std::filesystem;

struct Found {
    std::map<std::string, std::vector<std::string>>
        images;  // by folder below the root ("" is the root itself)
    int64_t foreign = 0;
    std::string a_foreign_one;
};

// Folders may be links, but none is entered twice.
Found find_images(const std::string& root) {
    Found found;
    std::set<fs::path> entered;
    std::vector<std::string> folders{""};
    while (!folders.empty()) {
        const std::string folder = folders.back();
        folders.pop_back();
        const fs::path place = fs::path(root) / folder;
        std::error_code problem;
        if (!entered.insert(fs::canonical(place, problem)).second) continue;
        std::vector<std::string> inner;
        for (fs::directory_iterator entry(place, problem), end; !problem && entry != end;
             entry.increment(problem)) {
            const std::string name = entry->path().filename().string();
            if (name.starts_with('.') || name == "__MACOSX")
                continue;  // hidden, and what archives leave behind
            std::error_code broken_link;
            if (entry->is_directory(broken_link)) {
                inner.push_back(folder.empty() ? name : folder + '/' + name);
            } else if (is_image_name(name)) {
                found.images[folder].push_back(name);
            } else if (is_foreign_image_name(name)) {
                if (found.foreign++ == 0) found.a_foreign_one = name;
            }
        }
        if (problem) throw IoError(place.string(), str("cannot list the folder: ", problem.message()));
        std::sort(inner.rbegin(),
                  inner.rend());  // so that of two links to one folder the first one is entered
        folders.insert(folders.end(), inner.begin(), inner.end());
    }
    return found;
}

std::string last_name(const std::string& folder) {
    return folder.substr(folder.rfind('/') + 1);  // npos + 1 is 0
}

// The first folder within `folder` that has images, or nothing.
std::string inner_folder(const Found& found, const std::string& folder) {
    const auto next = found.images.lower_bound(folder + '/');
    return next != found.images.end() && next->first.starts_with(folder + '/') ? next->first : "";
}

}  // namespace

std::unique_ptr<Dataset> open_image_folder(const std::string& root) {
    const Found found = find_images(root);
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
