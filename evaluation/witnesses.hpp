// A robust accuracy is an upper bound: another attack may find what this one did not. What it did find is
// certain, and kept: every counted failure as an 8-bit picture with its id, so that a stranger can show it
// to the model and see. A folder of witnesses holds the pictures and manifest.csv, a line for each:
//
//     file,id,name,y,predicted_clean,predicted_adversarial,predicted_8bit,linf,l2,note
//     000017.png,17,test/lung_n/4.jpeg,3,3,0,0,0.031372607,4.1,
//
// y and the predictions are class numbers; distances, in [0,1], are of the picture in the file from the
// image it came from. predicted_adversarial is for what the attack returned, predicted_8bit for the
// picture; where rounding undid the attack, the note says so.
#pragma once

#include "nn/classifier.hpp"

#include <string>
#include <vector>

namespace microtome {

struct Witness {
    std::string file{};  // name in the folder
    int64_t id = 0;      // of the image, as its batch said
    std::string name{};  // of the image, where known
    int64_t label = 0, predicted_clean = 0, predicted_adversarial = 0, predicted_8bit = 0;
    double linf = 0, l2 = 0;
    std::string note{};
    friend bool operator==(const Witness&, const Witness&) = default;
};

class WitnessFolder {
  public:
    // Makes the folder, and its parents, where there is none. Throws IoError.
    explicit WitnessFolder(std::string path);

    // Writes the picture, u8 (H,W,C), under a name made of the id.
    void add(Witness witness, const Tensor& picture);
    // Writes the manifest, by id. What was added and has no line there is no witness.
    void finish();

    const std::vector<Witness>& witnesses() const { return witnesses_; }

  private:
    std::string path_;
    std::vector<Witness> witnesses_;
};

// Throws MissingFileError, IoError; FormatError with the line for a manifest that is not as above, or names
// a file outside the folder.
std::vector<Witness> read_witnesses(const std::string& folder);

// Shows every picture to a model again. `same`: the model's answer is what the manifest says.
struct WitnessCheck {
    int64_t witnesses = 0, same = 0, wrong = 0;  // wrong: answers that are not y
};
WitnessCheck check_witnesses(const std::string& folder, Classifier& classifier);

}  // namespace microtome
