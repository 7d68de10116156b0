#include "apps/bench.hpp"

#include "apps/bench_conv.hpp"
#include "apps/bench_data.hpp"
#include "apps/bench_device.hpp"
#include "apps/bench_gemm.hpp"
#include "apps/bench_step.hpp"
#include "apps/bench_vit.hpp"
#include "base/atomic_file.hpp"
#include "base/error.hpp"
#include "base/json_writer.hpp"

#include <iostream>
#include <optional>

namespace microtome::apps {
namespace {

int run_suite(const BenchOptions& options, std::vector<BenchRow>& rows) {
    if (const Device device = options.step.device; device != kCpu && options.suite != "step") {
        if (options.suite == "gemm") return bench_device_gemm(device, std::cout, rows);
        if (options.suite == "conv") return bench_device_conv(device, std::cout, rows);
        throw OptionsError("bench",
                           str("expected the suite gemm, conv or step on ", device, ", got ", options.suite),
                           "the others measure the processor");
    }
    if (options.suite == "gemm") return bench_gemm(std::cout, rows);
    if (options.suite == "conv") return bench_conv(std::cout, rows);
    if (options.suite == "vit") return bench_vit(std::cout, rows);
    if (options.suite == "step") return bench_step(options.step, std::cout, rows);
    if (options.suite == "data") return bench_data(options.data, options.step.size, std::cout, rows);
    throw OptionsError("bench",
                       str("expected the suite gemm, conv, vit, step or data, got '", options.suite, "'"));
}

}  // namespace

int bench(const BenchOptions& options) {
    std::optional<AtomicFile> file;  // opened first: a minute's measurement should not fail on a wrong path
    if (!options.json.empty()) file.emplace(options.json);
    std::vector<BenchRow> rows;
    const int status = run_suite(options, rows);
    if (!file) return status;

    JsonWriter json(JsonWriter::Layout::pretty);
    json.array();
    for (const BenchRow& row : rows) {
        json.object().field("suite", row.suite).field("name", row.name).field("seconds", row.seconds);
        json.field("gflops", row.gflops).field("peak_gflops", row.peak_gflops);
        json.field("share_of_peak", row.share_of_peak);
        if (row.gbytes > 0)
            json.field("gbytes_per_second", row.gbytes).field("share_of_bandwidth", row.share_of_bandwidth);
        if (row.host_bytes > 0) json.field("host_bytes", static_cast<int64_t>(row.host_bytes));
        if (row.images_per_second > 0) {
            json.field("images_per_second", row.images_per_second);
            json.field("peak_bytes", static_cast<int64_t>(row.peak_bytes));
        }
        json.end();
    }
    json.end();
    file->write(json.text() + "\n");
    file->commit();
    return status;
}

}  // namespace microtome::apps
