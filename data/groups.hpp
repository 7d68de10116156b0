// Groups of images from a file of their own: which tile, lesion or patient an image is of.
#pragma once

#include "data/dataset.hpp"

#include <memory>
#include <string>
#include <vector>

namespace microtome {

// A group for each of the set's images, from a table (data/csv.hpp). Its column of images is called file,
// name, path, img_path, image, filename or stem, its column of groups group, group_id, lesion_id, patient_id,
// patient or cluster_label. An image is known by its name below the set's root, or where that is not in the
// table by its file's name, with or without its ending; rows of other images do not matter, an image without
// a row is alone. Throws FormatError for a table without such columns, with two groups for one image, or
// without any of the set's images, and as read_csv() does.
std::vector<std::string> read_groups(const std::string& path, const Dataset& dataset);

// Two columns, file and group.
void write_groups(const std::string& path, const Dataset& dataset, const std::vector<std::string>& groups);

// The same images under other groups, one for each. Throws OptionsError for another number.
std::unique_ptr<Dataset> with_groups(std::unique_ptr<Dataset> dataset, std::vector<std::string> groups);

}  // namespace microtome
