// Matrix products measured: speed, share of what the processor's registers could do, OpenBLAS beside it.
#pragma once

#include "apps/measure.hpp"

#include <ostream>
#include <vector>

namespace microtome::apps {

// Square products n = 256, 512, 1024, 2048 with one thread and with thread_limit(). Prints a table, appends
// its rows; with OpenBLAS where it is installed. Returns an exit status. Takes about ten seconds.
int bench_gemm(std::ostream& out, std::vector<BenchRow>& rows);

}  // namespace microtome::apps
