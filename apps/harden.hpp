// `microtome harden`: a trained model goes on training with attacked images.
#pragma once

#include "apps/run_settings.hpp"
#include "tensor/device.hpp"

namespace microtome::apps {

struct HardenOptions {
    std::string out;                           // the run's folder
    std::map<std::string, std::string> given;  // as TrainOptions has them, of harden_settings()
    bool resume = false;
    Device device = kCpu;  // where it calculates; a run may go on on another
    std::string json;      // a file for the results; empty: none
    bool quiet = false;
};

const std::vector<Setting>& harden_settings();

// Hardens a model on the images that it was trained on, and prints accuracy on clean and on attacked test
// images before and after, and what to do next. Returns an ExitStatus: kCheckFailed when a rail failed.
// Leaves in the folder what train() leaves there, and in universal/ the patterns that were fitted. Throws
// OptionsError for recipes, attacks and numbers that there are not, for a model of which it is not known what
// it was trained on, and for a run that began otherwise; FormatError for data of other classes; and what
// reading and writing throw.
int harden(const HardenOptions& options);

}  // namespace microtome::apps
