// The built-in data set: pictures of tissue in five classes, drawn rather than photographed. They look like
// sections stained with haematoxylin and eosin, and carry the class names of LC25000 (Borkowski et al. 2019)
// because they imitate what distinguishes those. They are for demonstrations and tests: nothing learned from
// them holds for patients.
//
// Staining, light and focus vary so much from image to image that colour says little about the class; what
// tells is the architecture: open air, glands, sheets, rows of crypts.
#pragma once

#include "data/dataset.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace microtome {

// In the order of their names.
enum class TissueClass { colon_aca, colon_n, lung_aca, lung_n, lung_scc };
const std::vector<std::string>& tissue_class_names();

inline constexpr int64_t kMinTissueSize = 16, kMaxTissueSize = 1024;  // pixels a side

// Piece of tissue `index` of a class: u8 (size, size, 3). The same piece at any size, and the same bits on
// every machine. Throws OptionsError for a negative index, or a size outside the limits above.
Tensor draw_tissue(TissueClass tissue_class, int64_t index, int64_t size, uint64_t seed);

struct TissueOptions {
    int64_t per_class = 100;
    int64_t size = 96;  // pixels a side
    uint64_t seed = 0;
};

// `per_class` pieces of each class. Every tenth is for validation and every tenth for the test, 1, 11, 21,
// ... and 2, 12, 22, ..., so that a larger set has the smaller one's parts. Names are those of
// write_tissue()'s files. An image is drawn when it is first read, and kept.
class TissueDataset : public Dataset {
  public:
    // Throws OptionsError for numbers out of range.
    explicit TissueDataset(const TissueOptions& options = {});
    ~TissueDataset() override;

    Tensor read(int64_t i) const override;
    const TissueOptions& options() const { return options_; }

  private:
    struct Cache;
    TissueOptions options_;
    std::unique_ptr<Cache> cache_;
};

// Writes the set as an image folder: PART/CLASS/NUMBER.png, manifest.csv (file, split, label, group) and
// tissue.json, which says how it was made. `written` is called after each image with the number so far, by
// one thread at a time; when it returns false no more are written, and the result is false. What an earlier
// call wrote into the same folder is replaced. Throws OptionsError where the folder holds anything else,
// IoError when the disk refuses.
bool write_tissue(const std::string& folder, const TissueOptions& options,
                  const std::function<bool(int64_t)>& written = {});

}  // namespace microtome
