// Matrix products measured: speed, share of what the processor's registers could do, OpenBLAS beside it.
#pragma once

#include <ostream>
#include <string>
#include <vector>

namespace microtome::apps {

struct BenchRow {
    std::string suite;
    std::string name;
    double seconds = 0;      // the best of several runs
    double gflops = 0;       // 10^9 operations per second; a multiply-add counts as two
    double peak_gflops = 0;  // multiply-adds on registers alone, as many threads, measured in the same run
    double share_of_peak = 0;
};

// Square products n = 256, 512, 1024, 2048 with one thread and with thread_limit(). Prints a table, appends
// its rows; with OpenBLAS where the build has found it. Returns an exit status. Takes about ten seconds.
int bench_gemm(std::ostream& out, std::vector<BenchRow>& rows);

}  // namespace microtome::apps
