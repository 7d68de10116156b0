#include "apps/bench_products.hpp"

#include "base/text.hpp"

#include <cstddef>
#include <cstdint>
#include <iomanip>

namespace microtome::apps {

BenchFloats::BenchFloats(int64_t count)
    : storage_(Storage::allocate(static_cast<std::size_t>(count) * sizeof(float) + 1, kCpu)) {
    uint32_t state = 12345;
    for (int64_t i = 0; i < count; ++i) {
        state = state * 1664525u + 1013904223u;
        data()[i] = static_cast<float>(static_cast<int32_t>(state >> 8) - (1 << 23)) * 0x1p-23f;
    }
}

void print_layers(const std::string& suite, int threads, double peak, const std::vector<LayerTimes>& layers,
                  std::ostream& out, std::vector<BenchRow>& rows) {
    const auto flags = out.flags();
    out << std::fixed << '\n'
        << "peak of " << threads << (threads == 1 ? " thread: " : " threads: ") << std::setprecision(1)
        << peak << " GF/s\n"
        << std::left << std::setw(46) << "layer" << std::right << std::setw(20) << "forward" << std::setw(29)
        << "input gradient" << std::setw(29) << "weight gradient" << '\n';
    for (const LayerTimes& layer : layers) {
        out << std::left << std::setw(42) << layer.name << std::right;
        for (const auto& [direction, seconds] : {std::pair{"forward", layer.forward},
                                                 {"input_gradient", layer.input_gradient},
                                                 {"weight_gradient", layer.weight_gradient}}) {
            if (seconds == 0) {
                out << std::setw(29) << "";
                continue;
            }
            BenchRow row{suite, str(layer.name, " ", direction, " threads=", threads), seconds,
                         layer.operations / seconds * 1e-9};
            row.peak_gflops = peak;
            row.share_of_peak = row.gflops / peak;
            out << std::setprecision(3) << std::setw(10) << 1e3 * row.seconds << " ms" << std::setprecision(1)
                << std::setw(8) << row.gflops << std::setprecision(0) << std::setw(6)
                << 100 * row.share_of_peak << " %";
            rows.push_back(row);
        }
        out << '\n';
    }
    out << std::flush;
    out.flags(flags);
}

}  // namespace microtome::apps
