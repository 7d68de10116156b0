// A data set whose samples a test lists, and whose images it holds.
#pragma once

#include "base/error.hpp"
#include "data/dataset.hpp"

class MemoryDataset : public microtome::Dataset {
  public:
    MemoryDataset(std::vector<std::string> classes, std::vector<microtome::Sample> samples,
                  std::vector<microtome::Tensor> images = {})
        : images_(std::move(images)) {
        path_ = "memory";
        classes_ = std::move(classes);
        samples_ = std::move(samples);
    }

    // An undefined tensor stands for a damaged file.
    microtome::Tensor read(int64_t i) const override {
        if (!images_.at(i).defined())
            throw microtome::FormatError(samples_[i].name, "expected an image, got something else");
        return images_[i];
    }

  private:
    std::vector<microtome::Tensor> images_;
};
