#include "data/find_images.hpp"

#include "base/error.hpp"
#include "data/image_files.hpp"

#include <algorithm>
#include <filesystem>
#include <set>

namespace microtome {

namespace fs = std::filesystem;

FoundImages find_images(const std::string& root) {
    FoundImages found;
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

}  // namespace microtome
