#include "apps/bench_gemm.hpp"

#include "base/text.hpp"
#include "tensor/kernels/matmul.hpp"
#include "tensor/storage.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <dlfcn.h>
#include <functional>
#include <iomanip>
#include <memory>
#include <set>

namespace microtome::apps {
namespace {

std::shared_ptr<Storage> floats(int64_t count) {
    auto storage = Storage::allocate(static_cast<std::size_t>(count) * sizeof(float), kCpu);
    float* values = reinterpret_cast<float*>(storage->data());
    for (int64_t i = 0; i < count; ++i) values[i] = static_cast<float>(i % 17 - 8) / 8.0f;
    return storage;
}
float* values(const std::shared_ptr<Storage>& storage) {
    return reinterpret_cast<float*>(storage->data());
}

// OpenBLAS where it is installed. Opened here: linked to, its threads would start with every command.
struct OpenBlas {
    void (*set_threads)(int) = nullptr;
    void (*sgemm)(int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha,
                  const float* a, int lda, const float* b, int ldb, float beta, float* c, int ldc) = nullptr;

    OpenBlas() {
        void* library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
        if (library == nullptr) return;
        set_threads = reinterpret_cast<decltype(set_threads)>(dlsym(library, "openblas_set_num_threads"));
        sgemm = reinterpret_cast<decltype(sgemm)>(dlsym(library, "cblas_sgemm"));
    }
    bool found() const { return set_threads != nullptr && sgemm != nullptr; }
};
constexpr int kRowMajor = 101, kNotTransposed = 111;  // as cblas.h numbers them

}  // namespace

int bench_gemm(std::ostream& out, std::vector<BenchRow>& rows) {
    const OpenBlas openblas;
    const auto flags = out.flags();
    out << "matrix products n x n in f32, GF/s and share of the processor's peak\n" << std::fixed;
    for (int threads : std::set<int>{1, thread_limit()}) {
        std::vector<BenchRow> measured;
        double peak = 0;  // the best before, between and after: others may be using the machine
        for (int64_t n : {256, 512, 1024, 2048}) {
            peak = std::max(peak, peak_gflops(threads));
            const double size = static_cast<double>(n);
            auto measure = [&](const char* name, const std::function<void()>& work) {
                const double seconds = best_seconds(work);
                measured.push_back({"gemm", str(name, " n=", n, " threads=", threads), seconds,
                                    2e-9 * size * size * size / seconds});
            };
            const auto a = floats(n * n), b = floats(n * n), c = floats(n * n);
            const MatmulShape shape = MatmulShape::dense(n, n, n);
            const auto workspace = Storage::allocate(kernels::matmul_workspace<float>(shape, threads), kCpu);
            const KernelContext context{threads, {workspace->data(), workspace->bytes()}};
            measure("microtome",
                    [&] { kernels::matmul<float>(shape, values(a), values(b), values(c), context); });
            if (!openblas.found()) continue;
            openblas.set_threads(threads);
            const int order = static_cast<int>(n);
            measure("openblas", [&] {
                openblas.sgemm(kRowMajor, kNotTransposed, kNotTransposed, order, order, order, 1.0f,
                               values(a), order, values(b), order, 0.0f, values(c), order);
            });
        }
        peak = std::max(peak, peak_gflops(threads));
        out << "\npeak of " << threads << (threads == 1 ? " thread: " : " threads: ") << std::setprecision(1)
            << peak << " GF/s, memory " << memory_gbytes(threads) << " GB/s copied\n";
        for (BenchRow& row : measured) {
            row.peak_gflops = peak;
            row.share_of_peak = row.gflops / peak;
            out << "    " << std::left << std::setw(32) << row.name << std::right << std::setw(8)
                << std::setprecision(1) << row.gflops << " GF/s" << std::setw(5) << std::setprecision(0)
                << 100 * row.share_of_peak << " %\n";
            rows.push_back(row);
        }
        out << std::flush;
    }
    out.flags(flags);
    return 0;
}

}  // namespace microtome::apps
