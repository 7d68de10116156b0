// `microtome gradcheck`: every op's gradient, and all else that an op promises, tried on its samples.
#pragma once

#include <string>

namespace microtome::apps {

struct GradcheckOptions {
    std::string op;    // empty: all
    std::string json;  // a file for the rows; empty: none
    bool verbose = false;
    bool quiet = false;
};

// Prints a line per op, and every row of one that failed (of all with verbose), and writes the rows. Returns
// an ExitStatus. Throws OptionsError when there is no such op.
int check_gradients(const GradcheckOptions& options);

}  // namespace microtome::apps
