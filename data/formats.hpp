// The readers behind open_dataset(), one file each. All throw FormatError for what is not what they expect.
#pragma once

#include "data/dataset.hpp"

#include <memory>
#include <string>
#include <vector>

namespace microtome {

// Every image in the folders below `folder`. The innermost folder's name is the class, so that classes found
// in several places are one: train/a, test/a. A folder called train, val or test (or training, ...) anywhere
// above says which part an image is in; one that begins with "additional" is training data (MobileODT's name
// for more of it). Images outside any class's folder have no label: they are left out, and a note says so.
std::unique_ptr<Dataset> open_image_folder(const std::string& folder);

// The images that a table names, by paths below the folder it lies in. Its first line names the columns; in
// capitals or not, these are used:
//     file, filename, path, image, image_path, img_path      which image
//     label, class, target, diagnosis, dx                    its class
//     group, group_id, patient, patient_id, lesion_id        images of one origin; may be missing
//     split, part, subset                                    train, val or test; else the folder's name says
std::unique_ptr<Dataset> open_manifest(const std::string& csv_file);

// MedMNIST: a zip of numpy arrays {train,val,test}_{images,labels}, images u8 (N,H,W) or (N,H,W,3), labels
// (N) or (N,1). One part or more must be there. Classes are called by their numbers.
std::unique_ptr<Dataset> open_npz(const std::string& file);

// MNIST's format: every PREFIX-images-idx3-ubyte in a folder (".gz" too; "-images.idx3-ubyte" too), or one
// such file, each with its PREFIX-labels-idx1-ubyte beside it. A prefix with "train" in it is the training
// part, with "t10k" or "test" the test part. Classes are called by their numbers.
std::unique_ptr<Dataset> open_idx(const std::string& path);
bool is_idx_images(const std::string& name);  // by its name

// CIFAR-10's binary version: data_batch_*.bin are the training part, test_batch.bin is the test part; or any
// one .bin file. Class names come from batches.meta.txt where that is there.
std::unique_ptr<Dataset> open_cifar10(const std::string& path);
bool is_cifar10_file(const std::string& name);  // by its name

// The Intel and MobileODT cervical screening set (data/mobileodt.cpp says its layouts), in a folder that has
// its train/Type_1 or train/train/Type_1.
std::unique_ptr<Dataset> open_mobileodt(const std::string& folder);
bool is_mobileodt(const std::string& folder);

// Classes 0 to count - 1 called by their numbers, of equal length: sorted by name they keep their order.
std::vector<std::string> numbered_classes(int64_t count);

}  // namespace microtome
