// `microtome gradcheck`: every op's gradient, and all else that an op promises, tried on its samples; whether
// the check would notice a mistake; and which op is looked at by which oracle.
#pragma once

#include "autograd/gradcheck/check_op.hpp"

#include <string>

namespace microtome::apps {

struct GradcheckOptions {
    std::string op;                  // empty: all
    gradcheck::Selection selection;  // of oracles, samples and shapes
    std::string json, junit, html;   // files for what comes out; empty: none
    std::string plant{};             // a mistake that the op gets before it is checked; empty: none
    bool mutate = false;             // show which oracle notices which mistake, in place of checking
    bool coverage = false;           // say what is looked at, in place of looking
    bool verbose = false;
    bool quiet = false;
    std::string command{};  // as it was typed, for the page's foot
};

// Prints a line per op, and for one that failed what it looks like, or every row with verbose, and then,
// unless less than everything was asked for, how many planted mistakes are caught; with mutate each of them;
// with coverage the matrix. Writes the files. Returns an ExitStatus. Throws OptionsError when there is no
// such op, oracle, sample or mistake.
int check_gradients(const GradcheckOptions& options);

}  // namespace microtome::apps
