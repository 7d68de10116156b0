// How the benchmarks measure.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

namespace microtome::apps {

// One line of a benchmark's table and one object of its JSON.
struct BenchRow {
    std::string suite;
    std::string name;
    double seconds = 0;      // of the fastest run (gemm), of the median run (step)
    double gflops = 0;       // 10^9 operations per second; a multiply-add counts as two
    double peak_gflops = 0;  // multiply-adds on registers alone, as many threads, measured in the same run
    double share_of_peak = 0;
    double images_per_second = 0;  // 0 where there are no images
    std::size_t peak_bytes =
        0;              // the most that tensors held at once, less what they held before; 0: not measured
    double gbytes = 0;  // 10^9 bytes per second, each tensor counted once; 0: not measured
    double share_of_bandwidth = 0;  // of memory, measured in the same run
    std::size_t host_bytes = 0;     // on a GPU: what the process took of the host's memory, at most
};

// The most of the machine's memory that the process ever held.
std::size_t most_resident_bytes();

double seconds_of(const std::function<void()>& work);

// The best of at least three runs and a third of a second: what the machine can do when left alone.
double best_seconds(const std::function<void()>& work);

// The median of at least five runs and `least` seconds, after one that does not count.
double median_seconds(const std::function<void()>& work, double least);

// Multiply-adds on registers alone: what the processor could do at best, in 10^9 operations per second.
double peak_gflops(int threads);

// The memory's speed in 10^9 bytes per second, read and written: each thread copies 128 MB, which no cache
// holds (McCalpin 1995, "copy").
double memory_gbytes(int threads);

}  // namespace microtome::apps
