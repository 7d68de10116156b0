// A labelled set of images on disk, read one at a time.
#pragma once

#include "tensor/tensor.hpp"

#include <memory>
#include <string>
#include <vector>

namespace microtome {

struct Sample {
    std::string name;     // which image: its path below the set's root, or "train/17" in one file of many
    int64_t label = 0;    // index into classes()
    std::string group{};  // images of one origin (tile, lesion, patient) share it; empty: alone
    std::string part{};   // "train", "val" or "test" where the set itself says so
};

// Read-only after it was opened; read() may be called from several threads at once.
class Dataset {
  public:
    virtual ~Dataset() = default;

    const std::string& path() const { return path_; }
    const std::vector<std::string>& classes() const { return classes_; }  // sorted
    const std::vector<Sample>& samples() const { return samples_; }
    int64_t size() const { return static_cast<int64_t>(samples_.size()); }

    // Image i as it is stored: u8 (H, W, C), C = 1 or 3. Throws FormatError for a damaged one, IoError.
    virtual Tensor read(int64_t i) const = 0;

  protected:
    std::string path_;
    std::vector<std::string> classes_;
    std::vector<Sample> samples_;
};

}  // namespace microtome
