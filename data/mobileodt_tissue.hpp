// Drawn tissue in the layout of the Intel and MobileODT cervical screening set, with what is known to be
// wrong with that set: for tests and demonstrations of what is made for it. No cervix is in it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace microtome {

struct MobileodtTissueOptions {
    int64_t per_class = 20;  // of Type_3 in each of train/ and additional/; half as many Type_1, half as many
                             // again Type_2, as the set's own classes are (about .17, .53, .30)
    int64_t size = 96;       // pixels high; three quarters as wide
    uint64_t seed = 0;
};

// Writes the set into a new or empty folder, as JPEG files:
//
//     train/train/Type_K, additional_Type_K_v2/Type_K, test/test, solution_stg1_release.csv
//
// Types are three kinds of drawn tissue. In it are the six broken files and the three wrong labels that the
// set's makers have published, some images of train/ again among the additional ones under another type, and
// one again in the test. `written` is called after each image with the number so far; when it returns false
// no more are written, and the result is false. Throws OptionsError for a folder with anything in it and for
// numbers out of range, IoError.
bool write_mobileodt_tissue(const std::string& folder, const MobileodtTissueOptions& options,
                            const std::function<bool(int64_t)>& written = {});

}  // namespace microtome
