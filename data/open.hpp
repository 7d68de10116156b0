// Labelled images, whatever form they come in.
#pragma once

#include "data/dataset.hpp"

#include <memory>
#include <string>

namespace microtome {

// Opens the data set at `path`, a folder or a file, and recognises which it is:
//
//     a folder with manifest.csv, or a .csv file   data/manifest.cpp
//     MedMNIST's .npz, or a folder with one        data/npz.cpp
//     MNIST's IDX files, or a folder with them     data/idx.cpp
//     CIFAR-10's binary files, or their folder     data/cifar.cpp
//     Intel and MobileODT's cervical screening set data/mobileodt.cpp
//     any other folder: a folder of images a class data/image_folder.cpp
//
// The samples come in an order that depends on their names alone. Of image files only the names are read: a
// damaged one is found when it is read. Files of many images are read whole. Throws MissingFileError when
// there is nothing at `path`, IoError, and FormatError for what is no such set, is damaged, or has images of
// fewer than two classes.
std::unique_ptr<Dataset> open_dataset(const std::string& path);

}  // namespace microtome
