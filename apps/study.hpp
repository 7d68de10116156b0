// `microtome study`: a whole study, from images to report.
#pragma once

#include "tensor/device.hpp"

#include <string>
#include <vector>

namespace microtome::apps {

struct StudyCommandOptions {
    std::string preset;
    std::string data;  // empty: the built-in tissue
    std::string out;
    std::string init;                  // weights to begin with; empty: as the preset says
    std::vector<std::string> changes;  // KEY=VALUE, in place of what the preset says
    std::string command;               // as it was typed
    Device device = kCpu;              // where models calculate
    bool quiet = false;
};

// Runs it, or goes on with what is in the folder. Returns an ExitStatus: kCheckFailed when a rail failed.
int study(const StudyCommandOptions& options);

}  // namespace microtome::apps
