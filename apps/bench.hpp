// `microtome bench`: how fast the kernels are on this machine, beside what it could do at best.
#pragma once

#include "apps/bench_step.hpp"

#include <string>

namespace microtome::apps {

struct BenchOptions {
    std::string suite = "gemm";
    StepOptions step{};  // of the suite step
    std::string data;    // of the suite data: a folder of images
    std::string json;    // a file for the rows; empty: none
};

// Prints a table of the suite and writes its rows. Returns an ExitStatus.
int bench(const BenchOptions& options);

}  // namespace microtome::apps
