// What is wrong with a set of images before anybody trains on it: damaged files, the same image twice, under
// two labels, or in train and test.
#pragma once

#include "data/dataset.hpp"
#include "data/siblings.hpp"
#include "data/split.hpp"

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace microtome {

struct AuditOptions {
    bool siblings = true;  // look for turned, mirrored, zoomed and recompressed copies too
    SiblingOptions sibling_options{};
    // Called from the calling thread when so many more images are read, and then compared; to end early, it
    // throws.
    std::function<void(int64_t)> read_step{}, compare_step{};
};

struct Damage {
    int64_t image;
    std::string reason;
};

struct Audit {
    std::vector<Damage> damaged;                     // in the order of samples()
    std::map<std::vector<int64_t>, int64_t> shapes;  // how many images have height, width, channels
    int64_t incomparable = 0;  // readable, and too small or too plain to look for siblings of
    // Images with the same pixels: each set ascending, sets by their first image. Copies that only a quarter
    // turn or a mirror sets apart are siblings, found at any size.
    std::vector<std::vector<int64_t>> duplicates;
    std::vector<Sibling> siblings;  // pairs that are no duplicates
    // An image's first relative, by duplicates and siblings and their siblings in turn: relatives have the
    // same.
    std::vector<int64_t> family;
};

// Reads every image once. Throws IoError; a damaged image is noted.
Audit audit(const Dataset& dataset, const AuditOptions& options = {});

// Sets of duplicates whose images do not all have one label.
std::vector<std::vector<int64_t>> contradictions(const Dataset& dataset, const Audit& audit);

// Groups by family, named by its first image; empty for an image without relatives. With the set's own
// groups, families and groups that share an image are one.
std::vector<std::string> groups_of(const Dataset& dataset, const Audit& audit);

// How many images of one part have what in another. What is exact is not counted as a sibling too.
struct Leak {
    std::string_view of, in;  // "test" in "train"
    int64_t images = 0;       // of the first part
    int64_t exact = 0;        // with the same pixels in the other
    int64_t siblings = 0;     // with a sibling there, at any remove
    int64_t groups = 0;       // of a group, as the set says, that is there too
    int64_t any = 0;          // with any of these
    std::vector<std::pair<int64_t, int64_t>>
        examples;  // pixels or siblings: one for each image of the first part
    double share() const { return images == 0 ? 0 : static_cast<double>(any) / static_cast<double>(images); }
};
// test in train, test in val, val in train.
std::vector<Leak> leaks(const Dataset& dataset, const Audit& audit, const Split& split);

// The parts that the samples themselves name; an image that names none is in none.
Split named_parts(const Dataset& dataset);

}  // namespace microtome
