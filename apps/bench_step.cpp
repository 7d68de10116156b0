#include "apps/bench_step.hpp"

#include "autograd/ops/losses.hpp"
#include "autograd/ops/reductions.hpp"
#include "autograd/plan.hpp"
#include "autograd/tape.hpp"
#include "base/error.hpp"
#include "nn/models/cnn.hpp"
#include "nn/optimizers.hpp"
#include "nn/summary.hpp"
#include "tensor/random.hpp"

#include <iomanip>
#include <optional>

namespace microtome::apps {
namespace {

constexpr double kSeconds = 3;  // for each step
constexpr int64_t kSize = 180, kClasses = 5;

Tensor random_images(int64_t batch) {
    Tensor images(Spec{{batch, kSize, kSize, 3}, Dtype::f32, kCpu});
    fill_uniform({.seed = 1, .purpose = purpose_of("bench")}, images);
    return images;
}

Tensor labels(int64_t batch) {
    Tensor result(Spec{{batch}, Dtype::i64, kCpu});
    auto values = result.mutable_data<int64_t>();
    for (int64_t i = 0; i < batch; ++i) values[i] = i % kClasses;
    return result;
}

}  // namespace

int bench_step(int64_t batch, std::ostream& out, std::vector<BenchRow>& rows) {
    if (batch < 1) throw OptionsError("bench", str("expected a batch of 1 or more, got ", batch));
    Cnn model;
    model.initialize(1);
    const Tensor x = random_images(batch), y = labels(batch);
    const Summary layers = summary(model, {1, kSize, kSize, 3});
    const double forward_operations = 2.0 * static_cast<double>(layers.multiply_adds * batch);
    double first_layer_operations = 0;
    for (const LayerRow& row : layers.rows)
        if (row.kind == "Conv2d" && first_layer_operations == 0)
            first_layer_operations = 2.0 * static_cast<double>(row.multiply_adds * batch);

    const auto flags = out.flags();
    out << "lung CNN, " << kSize << " x " << kSize << ", batch " << batch << ", " << thread_limit()
        << " threads\n"
        << std::fixed;
    const auto measure = [&](const char* name, double operations, const std::function<void()>& work) {
        work();  // whatever is made once (moments, an arena's pages) is there before counting begins
        const std::size_t held = memory_use().current;
        reset_peak_memory();
        work();
        BenchRow row{.suite = "step", .name = str("lung_cnn ", name)};
        row.peak_bytes = memory_use().peak - held;
        const double peak_before = peak_gflops(thread_limit());
        row.seconds = median_seconds(work, kSeconds);
        row.peak_gflops = std::max(peak_before, peak_gflops(thread_limit()));
        row.gflops = 1e-9 * operations / row.seconds;
        row.share_of_peak = row.gflops / row.peak_gflops;
        row.images_per_second = static_cast<double>(batch) / row.seconds;
        out << "    " << std::left << std::setw(32) << row.name << std::right << std::setprecision(1)
            << std::setw(8) << row.images_per_second << " images/s" << std::setw(8) << row.gflops << " GF/s"
            << std::setw(5) << std::setprecision(0) << 100 * row.share_of_peak << " % of peak" << std::setw(8)
            << static_cast<double>(row.peak_bytes) / 1e6 << " MB\n"
            << std::flush;
        rows.push_back(row);
    };

    measure("forward", forward_operations, [&] { model(x); });
    const auto input_gradient = [&](const Tensors& in) -> Tensors {
        Tape tape;
        tape.watch(in[0]);
        return {tape.gradient(cross_entropy(model(in[0]), in[1]), in[0], Tape::After::release)};
    };
    measure("input_gradient", 2 * forward_operations, [&] { input_gradient({x, y}); });
    {
        std::optional<Plan> plan;
        // The plan's memory is its arena, there before the first replay.
        measure("input_gradient_plan", 2 * forward_operations, [&] {
            if (!plan) plan = Plan::trace({x.spec(), y.spec()}, input_gradient);
            plan->run({x, y});
        });
        rows.back().peak_bytes += plan->arena_bytes();
        out << "        of which the plan's arena " << std::setprecision(0)
            << static_cast<double>(plan->arena_bytes()) / 1e6 << " MB\n";
    }
    model.train();
    Adam optimizer(model, {});
    measure("training", 3 * forward_operations - first_layer_operations, [&] {
        Tape tape;
        tape.watch(model.parameters());
        Tensor loss = mean(cross_entropy(model(x), y));
        optimizer.step(tape.gradient(loss, model.parameters(), Tape::After::release));
    });
    out.flags(flags);
    return 0;
}

}  // namespace microtome::apps
