#include "apps/bench_conv.hpp"

#include "apps/bench_layers.hpp"
#include "apps/bench_products.hpp"
#include "base/text.hpp"
#include "tensor/cpu/isa.hpp"
#include "tensor/kernels/conv2d.hpp"
#include "tensor/kernels/conv_pool.hpp"
#include "tensor/kernels/conv_stage.hpp"
#include "tensor/storage.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace microtome::apps {
namespace {

constexpr int64_t kTrainingBatch = 8;

// A training step's weight gradient, of several images, per image. Pooled, it is that of the fused op.
double weight_gradient_seconds(const kernels::ConvStage& one, const uint8_t* gate, int threads) {
    kernels::ConvStage stage = one;
    stage.conv.n = kTrainingBatch;
    const ConvShape& s = stage.conv;
    BenchFloats x(s.input().elements()), g(stage.output().elements()), dw(s.filters().elements()), bias(s.o);
    std::vector<uint8_t> gates;
    for (int64_t n = 0; n < s.n; ++n) gates.insert(gates.end(), gate, gate + one.gate().elements());
    const auto workspace =
        Storage::allocate(std::max(kernels::conv_pool_weight_gradient_workspace<float>(s, threads),
                                   kernels::conv2d_weight_gradient_workspace<float>(s, threads)),
                          kCpu);
    const KernelContext context{threads, {workspace->data(), workspace->bytes()}};
    return best_seconds([&] {
               if (stage.pool)
                   kernels::conv_pool_weight_gradient(s, x.data(), g.data(), gates.data(), dw.data(),
                                                      bias.data(), context);
               else
                   kernels::conv2d_weight_gradient(s, x.data(), g.data(), dw.data(), context);
           }) /
           kTrainingBatch;
}

LayerTimes measure(const ConvLayer& layer, int threads) {
    const kernels::ConvStage stage{.conv = layer.shape(1), .relu = true, .pool = layer.pool};
    const auto length = [](const Shape& shape) { return shape.elements(); };
    BenchFloats x(length(stage.conv.input())), w(length(stage.conv.filters())), bias(layer.results);
    BenchFloats y(length(stage.output())), g(length(stage.output())), dx(length(stage.conv.input()));
    BenchFloats residual(length(stage.conv.output())), gated(length(stage.conv.output()));
    const auto gate = Storage::allocate(static_cast<std::size_t>(length(stage.gate())), kCpu);
    uint8_t* bits = reinterpret_cast<uint8_t*>(gate->data());

    const std::size_t forward_floats = kernels::conv_stage_filters(stage),
                      gradient_floats = kernels::conv_stage_gradient_filters(stage);
    BenchFloats forward_packed(static_cast<int64_t>(forward_floats)),
        gradient_packed(static_cast<int64_t>(gradient_floats));
    kernels::pack_conv_stage_filters(stage, w.data(), forward_packed.data());
    kernels::pack_conv_stage_gradient_filters(stage, w.data(), gradient_packed.data());
    const auto workspace = Storage::allocate(std::max(kernels::conv_stage_workspace(stage, threads),
                                                      kernels::conv_stage_gradient_workspace(stage, threads)),
                                             kCpu);
    const KernelContext context{threads, {workspace->data(), workspace->bytes()}};
    const int64_t out_size = stage.conv.oh;
    LayerTimes seconds{layer.name(), 2.0 * static_cast<double>(out_size * out_size * layer.results) *
                                         static_cast<double>(layer.kernel * layer.kernel * layer.channels)};
    seconds.forward = best_seconds([&] {
        kernels::conv_stage(stage, x.data(), forward_floats > 0 ? forward_packed.data() : w.data(),
                            bias.data(), layer.residual ? residual.data() : nullptr, y.data(), bits, context);
    });
    seconds.input_gradient = best_seconds([&] {
        kernels::conv_stage_gradient(stage, g.data(), bits,
                                     gradient_floats > 0 ? gradient_packed.data() : w.data(), dx.data(),
                                     layer.residual ? gated.data() : nullptr, context);
    });
    seconds.weight_gradient = weight_gradient_seconds(stage, bits, threads);
    return seconds;
}

}  // namespace

int bench_conv(std::ostream& out, std::vector<BenchRow>& rows) {
    out << "convolution stages of one image in f32, bias and ReLU included, weight gradients for each of "
        << kTrainingBatch
        << ": ms, GF/s of the direct convolution, share of the processor's peak\ninstruction set "
        << cpu::isa_name(cpu::active_isa()) << '\n';
    for (int threads : std::set<int>{1, thread_limit()}) {
        double peak = peak_gflops(threads);  // the best before, between and after: others may use the machine
        std::vector<LayerTimes> measured;
        for (const ConvLayer& layer : conv_layers()) {
            measured.push_back(measure(layer, threads));
            peak = std::max(peak, peak_gflops(threads));
        }
        print_layers("conv", threads, peak, measured, out, rows);
    }
    return 0;
}

}  // namespace microtome::apps
