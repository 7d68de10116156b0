// What every subcommand is given, and gives back.
#pragma once

#include <string>

namespace microtome::apps {

// How a command ends, for scripts.
enum ExitStatus {
    kDone = 0,
    kCheckFailed = 1,    // a check or rail that the command ran did not hold
    kWrongUse = 2,       // the command line, or an option out of its range
    kBadInput = 3,       // a file that is missing, damaged or does not fit
    kMachineFailed = 4,  // disk, memory, device
};

// Options that every subcommand has.
struct CommonOptions {
    int threads = 0;  // 0: as many as OpenMP would take
    bool quiet = false;
    std::string device = "cpu";  // of those that calculate much
    std::string precision = "f32";
};

}  // namespace microtome::apps
