#include "apps/bench_vit.hpp"

#include "apps/bench_products.hpp"
#include "base/text.hpp"
#include "tensor/cpu/isa.hpp"
#include "tensor/kernels/attention.hpp"
#include "tensor/kernels/matmul.hpp"

#include <algorithm>
#include <cstddef>
#include <set>

namespace microtome::apps {
namespace {

constexpr int64_t kImages = 8, kPatches = 196, kTokens = kPatches + 1, kWidth = 768, kHeads = 12;

// rows x inputs times inputs x outputs, as a dense layer: y = x w^T.
struct Dense {
    const char* name;
    int64_t rows, inputs, outputs;
};

constexpr Dense kLayers[] = {
    {"patches", kImages* kPatches, 16 * 16 * 3, kWidth}, {"qkv", kImages* kTokens, kWidth, 3 * kWidth},
    {"proj", kImages* kTokens, kWidth, kWidth},          {"fc1", kImages* kTokens, kWidth, 4 * kWidth},
    {"fc2", kImages* kTokens, 4 * kWidth, kWidth},       {"head", kImages, kWidth, 1000},
};

double seconds_of_product(const MatmulShape& shape, float* a, float* b, float* c, int threads) {
    const auto workspace = Storage::allocate(kernels::matmul_workspace<float>(shape, threads) + 1, kCpu);
    const KernelContext context{threads, {workspace->data(), workspace->bytes()}};
    return best_seconds([&] { kernels::matmul<float>(shape, a, b, c, context); });
}

LayerTimes measure(const Dense& layer, int threads) {
    const int64_t m = layer.rows, k = layer.inputs, n = layer.outputs;
    BenchFloats x(m * k), w(n * k), y(m * n), dx(m * k), dw(n * k);
    LayerTimes times{str("vit-b16 ", layer.name, " ", m, "x", k, " to ", n),
                     2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k)};
    times.forward =
        seconds_of_product(MatmulShape::dense(m, n, k, false, true), x.data(), w.data(), y.data(), threads);
    times.input_gradient =
        seconds_of_product(MatmulShape::dense(m, k, n), y.data(), w.data(), dx.data(), threads);
    times.weight_gradient =
        seconds_of_product(MatmulShape::dense(n, k, m, true, false), y.data(), x.data(), dw.data(), threads);
    return times;
}

LayerTimes measure_attention(int threads) {
    const Spec packed{{kImages, kTokens, 3, kHeads, kWidth / kHeads}, Dtype::f32, kCpu};
    BenchFloats numbers(packed.shape.elements());
    Tensor qkv(packed);
    std::copy_n(numbers.data(), packed.shape.elements(), qkv.mutable_data<float>().data());
    Tensor y(Spec{{kImages, kTokens, kWidth}, Dtype::f32, kCpu}), dqkv(packed);
    const Tensor g = Tensor::full(y.shape(), 0.5);
    ThreadLimit limit(threads);
    const auto workspace = Storage::allocate(kernels::attention_workspace(packed) + 1, kCpu);
    const KernelContext context{threads, {workspace->data(), workspace->bytes()}};
    LayerTimes times{"vit-b16 attention", 0};
    times.operations = 4.0 * static_cast<double>(kImages * kTokens * kTokens) * static_cast<double>(kWidth);
    times.forward = best_seconds([&] { kernels::attention(qkv, y, context); });
    times.input_gradient = best_seconds([&] { kernels::attention_input_gradient(g, qkv, dqkv, context); });
    return times;
}

}  // namespace

int bench_vit(std::ostream& out, std::vector<BenchRow>& rows) {
    out << "products of ViT-B/16 for " << kImages
        << " images in f32: ms, GF/s, share of the processor's peak\ninstruction set "
        << cpu::isa_name(cpu::active_isa()) << '\n';
    for (int threads : std::set<int>{1, thread_limit()}) {
        double peak = peak_gflops(threads);  // the best before, between and after
        std::vector<LayerTimes> layers;
        for (const Dense& layer : kLayers) {
            layers.push_back(measure(layer, threads));
            peak = std::max(peak, peak_gflops(threads));
        }
        layers.push_back(measure_attention(threads));
        // Four products of the two forward, once more than the two.
        layers.back().name += " (gradient: 2 of 5 products counted)";
        peak = std::max(peak, peak_gflops(threads));
        print_layers("vit", threads, peak, layers, out, rows);
    }
    return 0;
}

}  // namespace microtome::apps
