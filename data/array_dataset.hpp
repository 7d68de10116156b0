// A data set that came out of a few files of many images each, and is in memory.
#pragma once

#include "data/dataset.hpp"

#include <span>

namespace microtome {

class ArrayDataset : public Dataset {
  public:
    ArrayDataset(std::string path, std::vector<std::string> classes);

    // Adds images u8 (N,H,W,C), called prefix/0, prefix/1, ..., to a part of the set ("" for none). Throws
    // FormatError naming the prefix unless there is a label for each image, and a class for each label.
    void add(const std::string& prefix, const std::string& part, const Tensor& images,
             std::span<const int64_t> labels);

    Tensor read(int64_t i) const override;
    bool in_memory() const override { return true; }

  private:
    struct Block {
        int64_t first;  // index of its first image
        Tensor images;
    };
    std::vector<Block> blocks_;
};

}  // namespace microtome
