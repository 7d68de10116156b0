// `microtome data audit`: what is wrong with a set of images before anybody trains on it.
#pragma once

#include <string>

namespace microtome::apps {

struct DataAuditOptions {
    std::string data;          // what open_dataset() opens
    std::string groups;        // a table of groups to use in place of the set's own; empty: none
    std::string split;         // a split to audit in place of the set's own parts; empty: none
    std::string json;          // a file for the findings; empty: none
    std::string write_groups;  // a file for the groups found; empty: none
    bool strict = false;       // damaged images are an error
    bool quiet = false;
};

// Prints the findings. Returns kCheckFailed when test images are in train, themselves or by a sibling or a
// group; else, when strict and some image is damaged, kBadInput; else kDone. Throws as open_dataset(),
// read_groups() and read_split() do.
int data_audit(const DataAuditOptions& options);

}  // namespace microtome::apps
