// The image files in a folder and all folders below it, by their names.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace microtome {

struct FoundImages {
    // Names of files that read_image() may take, by folder below the root; "" is the root itself.
    std::map<std::string, std::vector<std::string>> images;
    int64_t foreign = 0;        // images of a kind that is not read
    std::string a_foreign_one;  // the first of them
};

// Folders may be links, but none is entered twice; hidden ones are not. Throws IoError for a folder that
// cannot be listed.
FoundImages find_images(const std::string& root);

// "Type_1" of "train/train/Type_1".
std::string last_name(const std::string& folder);

}  // namespace microtome
