// A labelled set of images on disk, read one at a time.
#pragma once

#include "tensor/tensor.hpp"

#include <memory>
#include <string>
#include <string_view>
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
    // What was left out when the set was opened, and why: a sentence each, for the user to read.
    const std::vector<std::string>& notes() const { return notes_; }

    // Image i as it is stored: u8 (H, W, C), C = 1 or 3. Throws FormatError for a damaged one, IoError.
    virtual Tensor read(int64_t i) const = 0;
    // Whether read() is a mere copy, so that keeping what it returned would save nothing.
    virtual bool in_memory() const { return false; }

  protected:
    std::string path_;
    std::vector<std::string> classes_;
    std::vector<Sample> samples_;
    std::vector<std::string> notes_;
};

// The part of a set that a folder or a column calls by this name, in capitals or not: "train" (training),
// "val" (valid, validation), "test" (testing); empty for any other.
std::string part_named(std::string_view name);

}  // namespace microtome
