// A data set of image files.
#pragma once

#include "data/dataset.hpp"

namespace microtome {

class ImageFiles : public Dataset {
  public:
    struct File {
        std::string name;  // its path below `folder`
        std::string class_name;
        std::string group{}, part{};
    };
    // Sorted by name. Throws FormatError when two files have one name.
    ImageFiles(std::string folder, std::vector<File> files, std::vector<std::string> notes);

    Tensor read(int64_t i) const override;
};

// Whether a file's name ends as those of the images do that read_image() takes.
bool is_image_name(std::string_view name);
// Whether it ends as those of images do that it does not take: TIFF, DICOM, ...
bool is_foreign_image_name(std::string_view name);

// The part that the folders of a path name, the outermost that names one; empty where none does.
std::string part_of_path(std::string_view path);

}  // namespace microtome
