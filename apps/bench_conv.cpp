#include "apps/bench_conv.hpp"

#include "base/text.hpp"
#include "tensor/cpu/isa.hpp"
#include "tensor/kernels/conv_stage.hpp"
#include "tensor/storage.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iomanip>
#include <memory>
#include <set>
#include <string>
#include <utility>

namespace microtome::apps {
namespace {

struct Layer {
    const char* network;
    int64_t size, channels, results, kernel, stride, padding;
    bool pool = false, residual = false;

    std::string name() const {
        return str(network, " ", size, "px ", kernel, "x", kernel, stride > 1 ? str(" /", stride) : "", " ",
                   channels, " to ", results, pool ? " pool" : "", residual ? " residual" : "");
    }
};

constexpr Layer kLayers[] = {
    {"lung", 180, 3, 32, 3, 1, 1, true},
    {"lung", 90, 32, 64, 3, 1, 1, true},
    {"lung", 45, 64, 64, 3, 1, 0, true},
    {"lung", 21, 64, 64, 3, 1, 0, true},
    {"resnet50", 224, 3, 64, 7, 2, 3},
    {"resnet50", 56, 64, 64, 1, 1, 0},
    {"resnet50", 56, 64, 64, 3, 1, 1},
    {"resnet50", 56, 64, 256, 1, 1, 0, false, true},
    {"resnet50", 56, 256, 64, 1, 1, 0},
    {"resnet50", 56, 256, 128, 1, 1, 0},
    {"resnet50", 56, 128, 128, 3, 2, 1},
    {"resnet50", 56, 256, 512, 1, 2, 0},
    {"resnet50", 28, 128, 512, 1, 1, 0, false, true},
    {"resnet50", 28, 512, 128, 1, 1, 0},
    {"resnet50", 28, 128, 128, 3, 1, 1},
    {"resnet50", 28, 512, 256, 1, 1, 0},
    {"resnet50", 28, 256, 256, 3, 2, 1},
    {"resnet50", 28, 512, 1024, 1, 2, 0},
    {"resnet50", 14, 256, 1024, 1, 1, 0, false, true},
    {"resnet50", 14, 1024, 256, 1, 1, 0},
    {"resnet50", 14, 256, 256, 3, 1, 1},
    {"resnet50", 14, 1024, 512, 1, 1, 0},
    {"resnet50", 14, 512, 512, 3, 2, 1},
    {"resnet50", 14, 1024, 2048, 1, 2, 0},
    {"resnet50", 7, 512, 2048, 1, 1, 0, false, true},
    {"resnet50", 7, 2048, 512, 1, 1, 0},
    {"resnet50", 7, 512, 512, 3, 1, 1},
};

// 64-byte aligned memory with different floats of both signs in it.
class Floats {
  public:
    explicit Floats(int64_t count)
        : storage_(Storage::allocate(static_cast<std::size_t>(count) * sizeof(float) + 1, kCpu)) {
        uint32_t state = 12345;
        for (int64_t i = 0; i < count; ++i) {
            state = state * 1664525u + 1013904223u;
            data()[i] = static_cast<float>(static_cast<int32_t>(state >> 8) - (1 << 23)) * 0x1p-23f;
        }
    }
    float* data() { return reinterpret_cast<float*>(storage_->data()); }

  private:
    std::shared_ptr<Storage> storage_;
};

struct Seconds {
    double forward, gradient;
};

Seconds measure(const Layer& layer, int threads) {
    ConvOptions options;
    options.stride_h = options.stride_w = layer.stride;
    options.pad_top = options.pad_bottom = options.pad_left = options.pad_right = layer.padding;
    const kernels::ConvStage stage{
        .conv = conv_shape({1, layer.size, layer.size, layer.channels},
                           {layer.results, layer.kernel, layer.kernel, layer.channels}, options),
        .relu = true,
        .pool = layer.pool};
    const auto length = [](const Shape& shape) { return shape.elements(); };
    Floats x(length(stage.conv.input())), w(length(stage.conv.filters())), bias(layer.results);
    Floats y(length(stage.output())), g(length(stage.output())), dx(length(stage.conv.input()));
    Floats residual(length(stage.conv.output())), gated(length(stage.conv.output()));
    const auto gate = Storage::allocate(static_cast<std::size_t>(length(stage.gate())), kCpu);
    uint8_t* bits = reinterpret_cast<uint8_t*>(gate->data());

    const std::size_t forward_floats = kernels::conv_stage_filters(stage),
                      gradient_floats = kernels::conv_stage_gradient_filters(stage);
    Floats forward_packed(static_cast<int64_t>(forward_floats)),
        gradient_packed(static_cast<int64_t>(gradient_floats));
    kernels::pack_conv_stage_filters(stage, w.data(), forward_packed.data());
    kernels::pack_conv_stage_gradient_filters(stage, w.data(), gradient_packed.data());
    const auto workspace = Storage::allocate(std::max(kernels::conv_stage_workspace(stage, threads),
                                                      kernels::conv_stage_gradient_workspace(stage, threads)),
                                             kCpu);
    const KernelContext context{threads, {workspace->data(), workspace->bytes()}};
    Seconds seconds{};
    seconds.forward = best_seconds([&] {
        kernels::conv_stage(stage, x.data(), forward_floats > 0 ? forward_packed.data() : w.data(),
                            bias.data(), layer.residual ? residual.data() : nullptr, y.data(), bits, context);
    });
    seconds.gradient = best_seconds([&] {
        kernels::conv_stage_gradient(stage, g.data(), bits,
                                     gradient_floats > 0 ? gradient_packed.data() : w.data(), dx.data(),
                                     layer.residual ? gated.data() : nullptr, context);
    });
    return seconds;
}

}  // namespace

int bench_conv(std::ostream& out, std::vector<BenchRow>& rows) {
    const auto flags = out.flags();
    out << "convolution stages of one image in f32, bias and ReLU included: ms, GF/s of the direct "
           "convolution, share "
           "of the processor's peak\ninstruction set "
        << cpu::isa_name(cpu::active_isa()) << '\n'
        << std::fixed;
    for (int threads : std::set<int>{1, thread_limit()}) {
        double peak = 0;  // the best before and after: others may be using the machine
        const auto look = [&] { peak = std::max(peak, peak_gflops(threads)); };
        look();
        std::vector<BenchRow> measured;
        for (const Layer& layer : kLayers) {
            const int64_t out_size = (layer.size + 2 * layer.padding - layer.kernel) / layer.stride + 1;
            const double operations = 2.0 * static_cast<double>(out_size * out_size * layer.results) *
                                      static_cast<double>(layer.kernel * layer.kernel * layer.channels);
            const Seconds seconds = measure(layer, threads);
            for (auto [step, time] :
                 {std::pair{"forward", seconds.forward}, std::pair{"input_gradient", seconds.gradient}})
                measured.push_back({"conv", str(layer.name(), " ", step, " threads=", threads), time,
                                    operations / time * 1e-9});
            look();
        }
        out << '\n'
            << "peak of " << threads << (threads == 1 ? " thread: " : " threads: ") << std::setprecision(1)
            << peak << " GF/s\n"
            << std::left << std::setw(48) << "stage" << std::right << std::setw(26) << "forward"
            << std::setw(28) << "input gradient" << '\n';
        for (std::size_t i = 0; i < measured.size(); ++i) {
            BenchRow& row = measured[i];
            row.peak_gflops = peak;
            row.share_of_peak = row.gflops / peak;
            if (i % 2 == 0) out << std::left << std::setw(48) << kLayers[i / 2].name() << std::right;
            out << std::setprecision(3) << std::setw(9) << 1e3 * row.seconds << " ms" << std::setprecision(1)
                << std::setw(7) << row.gflops << std::setprecision(0) << std::setw(5)
                << 100 * row.share_of_peak << " % ";
            if (i % 2 == 1) out << '\n';
            rows.push_back(row);
        }
        out << std::flush;
    }
    out.flags(flags);
    return 0;
}

}  // namespace microtome::apps
