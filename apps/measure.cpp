#include "apps/measure.hpp"

#include "tensor/cpu/gemm.hpp"
#include "tensor/cpu/parallel.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <sys/resource.h>
#include <vector>

namespace microtome::apps {

std::size_t most_resident_bytes() {
    rusage use{};
    ::getrusage(RUSAGE_SELF, &use);
    return static_cast<std::size_t>(use.ru_maxrss) * 1024;
}

double seconds_of(const std::function<void()>& work) {
    auto start = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double best_seconds(const std::function<void()>& work) {
    double best = seconds_of(work), total = 0;
    for (int run = 0; run < 3 || total < 0.35; ++run) {
        double seconds = seconds_of(work);
        best = std::min(best, seconds);
        total += seconds;
    }
    return best;
}

double median_seconds(const std::function<void()>& work, double least) {
    work();
    std::vector<double> runs;
    for (double total = 0; runs.size() < 5 || total < least; total += runs.back())
        runs.push_back(seconds_of(work));
    std::nth_element(runs.begin(), runs.begin() + static_cast<std::ptrdiff_t>(runs.size() / 2), runs.end());
    return runs[runs.size() / 2];
}

double peak_gflops(int threads) {
    std::vector<int64_t> operations(static_cast<std::size_t>(threads));
    double seconds = best_seconds([&] {
        cpu::parallel_tasks(threads, threads, [&](int64_t task, int) {
            float sink[2] = {1e-3f, 1e-3f};
            operations[static_cast<std::size_t>(task)] =
                cpu::gemm_kernels().multiply_add_registers(200000, sink);
        });
    });
    return 1e-9 * static_cast<double>(operations[0] * threads) / seconds;
}

double memory_gbytes(int threads) {
    constexpr std::size_t kBytes = std::size_t{128} << 20;
    std::vector<std::vector<std::byte>> from(static_cast<std::size_t>(threads)), to(from.size());
    cpu::parallel_tasks(threads, threads, [&](int64_t task, int) {
        const auto t = static_cast<std::size_t>(task);
        from[t].assign(kBytes, std::byte{1});
        to[t].assign(kBytes, std::byte{2});
    });
    const double seconds = best_seconds([&] {
        cpu::parallel_tasks(threads, threads, [&](int64_t task, int) {
            const auto t = static_cast<std::size_t>(task);
            std::memcpy(to[t].data(), from[t].data(), kBytes);
        });
    });
    return 1e-9 * 2 * static_cast<double>(kBytes) * threads / seconds;
}

}  // namespace microtome::apps
