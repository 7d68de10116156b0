// The standalone checker on y = tanh(W x), W of n by n, with one element of its Jacobian off by some amount,
// for tests/parity/gradcheck_torch.py, which compiles and runs this. Prints one line: trials, how many the
// checker rejected, how many it called inconclusive, runs of the layer per trial, seconds per trial.
//
//     gradcheck_layer N WRONG TRIALS
#include "gradcheck.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>

using namespace microtome::gradcheck;

int main(int, char** arguments) {
    const auto n = static_cast<std::size_t>(std::atoi(arguments[1]));
    const double wrong = std::atof(arguments[2]);
    const int trials = std::atoi(arguments[3]);
    int rejected = 0, inconclusive = 0;
    std::size_t runs = 0;
    double seconds = 0;
    for (int trial = 0; trial < trials; ++trial) {
        Random random(static_cast<uint64_t>(trial) * 1000003 + n);
        Vector w(n * n), x(n);
        for (double& value : w) value = (2 * random.unit() - 1) / std::sqrt(static_cast<double>(n));
        for (double& value : x) value = 2 * random.unit() - 1;
        const std::size_t row = random.below(n), column = random.below(n);
        auto layer = [&](View at) {
            Vector y(n);
            for (std::size_t i = 0; i < n; ++i) {
                double sum = 0;
                for (std::size_t j = 0; j < n; ++j) sum += w[i * n + j] * at[j];
                y[i] = std::tanh(sum);
            }
            return y;
        };
        auto vjp = [&](View at, View v) {
            const Vector y = layer(at);
            Vector gradient(n, 0.0);
            for (std::size_t i = 0; i < n; ++i) {
                const double scaled = v[i] * (1 - y[i] * y[i]);
                for (std::size_t j = 0; j < n; ++j) gradient[j] += scaled * w[i * n + j];
            }
            gradient[column] += wrong * v[row];
            return gradient;
        };
        Options options;
        options.seed = static_cast<uint64_t>(trial) + 1;
        options.diagnosis = 0;  // the verdict alone is timed
        const auto begin = std::chrono::steady_clock::now();
        const Report report = check(layer, vjp, x, options);
        seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
        rejected += report.verdict == Verdict::fail;
        inconclusive += report.verdict == Verdict::inconclusive;
        runs += report.runs;
    }
    std::printf("%d %d %d %zu %g\n", trials, rejected, inconclusive, runs / static_cast<std::size_t>(trials),
                seconds / trials);
}
