// Which images train, which stop or tune the training, and which judge: drawn, written down, read again.
//
//     Split split = make_split(*dataset, {.kind = SplitKind::grouped, .seed = 7});
//     write_split("run/split.json", *dataset, split, options);
#pragma once

#include "data/dataset.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace microtome {

// Indices into Dataset::samples(), each list in the order of the images' names.
struct Split {
    std::vector<int64_t> train, val, test;

    friend bool operator==(const Split&, const Split&) = default;
};

enum class SplitKind {
    random,   // every image for itself, class by class
    grouped,  // all images of a group on one side; an image without a group is a group of its own
    own,      // as Sample::part says
};
std::string_view name_of(SplitKind kind);
SplitKind split_kind(std::string_view name);  // throws OptionsError for a name that is none

// own where the set has parts, else grouped where it has groups, else random.
SplitKind natural_split(const Dataset& dataset);

struct SplitOptions {
    SplitKind kind = SplitKind::random;
    double train = 0.8, val = 0.1, test = 0.1;  // shares of each class
    uint64_t seed = 0;
    // At most so many images of each class; -1: all. What is cut off is in no part. A lower limit keeps some
    // of what a higher one keeps.
    int64_t max_train = -1, max_val = -1, max_test = -1;

    friend bool operator==(const SplitOptions&, const SplitOptions&) = default;
};

// Draws a split. It depends on names, labels, groups, parts and options, not on the order of samples().
//
// random: each part has within 1 image of its share of each class; the images left over by rounding down go
// where most are missing so far, so that the whole comes close as well, even with classes of one image.
// grouped: groups are placed largest first, each into a part that still lacks as many images of each of its
// classes, drawn with probability proportional to what it lacks; a group that fits nowhere goes where the sum
// over parts and classes of (images - share)^2 grows least. Single images come last and fill the gaps, so
// that parts deviate only as far as groups force them to; a set of few groups may leave a part empty. own:
// the set's parts. A part with a share that the set lacks (validation, as a rule) is taken out of train:
// grouped where there are groups, val / (train + val) of it.
//
// Throws OptionsError for shares that are negative, do not sum to 1 (within 1e-6) or leave train empty, for
// limits below -1, for own where some image is in none of the parts train, val and test or none is in train,
// and where two images have one name.
Split make_split(const Dataset& dataset, const SplitOptions& options = {});

// Of these images at most `limit` of each class (-1: all), drawn by the seed, in their order.
std::vector<int64_t> limit_per_class(const Dataset& dataset, const std::vector<int64_t>& images,
                                     int64_t limit, uint64_t seed);

// What two parts have in common.
struct Overlap {
    std::string_view first, second;   // "train", "val", "test"
    std::vector<std::string> names;   // images that are in both, sorted
    std::vector<std::string> groups;  // groups with images in both, sorted
};
// The pairs of parts that are not disjoint by name and by group; empty when all is well.
std::vector<Overlap> overlaps(const Dataset& dataset, const Split& split);

// A hash of names, classes, labels and groups, whatever the order of samples(); pixels are not read.
uint64_t listing_hash(const Dataset& dataset);

// JSON with the three lists of names, the options, and the number and listing_hash() of the images. Throws
// IoError.
void write_split(const std::string& path, const Dataset& dataset, const Split& split,
                 const SplitOptions& options);

struct StoredSplit {
    Split split;
    SplitOptions options;
    bool same_listing = false;  // whether the data is listed exactly as it was when the split was written
};
// Throws MissingFileError, IoError, and FormatError for what is no split, for a name that is not in the data
// set (the first such) and for one that is listed twice.
StoredSplit read_split(const std::string& path, const Dataset& dataset);

}  // namespace microtome
