// `microtome data synth`: the built-in tissue, written as an image folder.
#pragma once

#include <cstdint>
#include <string>

namespace microtome::apps {

struct DataSynthOptions {
    std::string out;  // the folder
    int64_t per_class = 100;
    int64_t size = 96;  // pixels a side
    uint64_t seed = 0;
    std::string layout = "folder";  // or mobileodt: data/mobileodt_tissue.hpp
    bool quiet = false;
};

// Writes the images and prints what was written, and how to go on. Returns an ExitStatus. Throws as
// write_tissue() and write_mobileodt_tissue() do.
int data_synth(const DataSynthOptions& options);

}  // namespace microtome::apps
