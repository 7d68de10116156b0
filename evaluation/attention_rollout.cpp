#include "evaluation/attention_rollout.hpp"

#include "autograd/tape.hpp"
#include "base/error.hpp"
#include "nn/attention.hpp"
#include "tensor/math.hpp"

#include <algorithm>
#include <cmath>

namespace microtome {
namespace {

using Matrix = std::vector<double>;  // (T, T), row by row

// The mean over heads of softmax(q k^T / sqrt(d)) for image n of packed qkv (N, T, 3 H d).
Matrix mean_attention(const Tensor& qkv, int64_t n, int64_t heads) {
    const int64_t tokens = qkv.size(1), d = qkv.size(2) / (3 * heads), row = qkv.size(2);
    const float* all = qkv.data<float>().data() + n * tokens * row;
    const double scale = 1 / std::sqrt(static_cast<double>(d));
    Matrix mean(static_cast<std::size_t>(tokens * tokens), 0);
    std::vector<double> scores(static_cast<std::size_t>(tokens));
    for (int64_t h = 0; h < heads; ++h)
        for (int64_t i = 0; i < tokens; ++i) {
            const float* q = all + i * row + h * d;
            for (int64_t j = 0; j < tokens; ++j) {
                const float* k = all + j * row + (heads + h) * d;
                double dot = 0;
                for (int64_t e = 0; e < d; ++e)
                    dot = std::fma(static_cast<double>(q[e]), static_cast<double>(k[e]), dot);
                scores[j] = dot * scale;
            }
            const double most = *std::max_element(scores.begin(), scores.end());
            double sum = 0;
            for (double& score : scores) sum += score = math::exp(score - most);
            for (int64_t j = 0; j < tokens; ++j)
                mean[i * tokens + j] += scores[j] / (sum * static_cast<double>(heads));
        }
    return mean;
}

// The packed qkv of every attention layer in one run, with its heads.
std::vector<std::pair<Tensor, int64_t>> run_watched(Module& model, const Tensor& images) {
    std::vector<std::pair<Tensor, int64_t>> layers;
    const Attention* open = nullptr;  // the layer whose first inner module, qkv, is yet to run
    Pass pass{.step = 0};
    pass.before = [&](const Module& module, const Tensor&) {
        if (const auto* attention = dynamic_cast<const Attention*>(&module)) open = attention;
    };
    pass.after = [&](const Module& module, const Tensor&, const Tensor& y) {
        if (!open || &module == open) return;
        layers.emplace_back(y, open->heads());
        open = nullptr;
    };
    PauseTapes pause;
    model.eval();
    model(images, pass);
    return layers;
}

}  // namespace

bool has_attention(const Module& model) {
    for (const auto& [path, module] : model.named_modules())
        if (dynamic_cast<const Attention*>(module)) return true;
    return false;
}

Tensor attention_rollout(Module& model, const Tensor& images, int64_t height, int64_t width) {
    const auto layers = run_watched(model, images);
    if (layers.empty())
        throw ShapeError("attention rollout", "expected a model with attention, got one without");
    const int64_t count = images.size(0), tokens = layers.front().first.size(1);
    const auto rows = static_cast<int64_t>(std::lround(std::sqrt(
        static_cast<double>((tokens - 1) * height) / static_cast<double>(std::max<int64_t>(1, width)))));
    const int64_t columns = rows > 0 ? (tokens - 1) / rows : 0;
    if (rows * columns != tokens - 1 || rows < 1)
        throw ShapeError("attention rollout", str("expected a class token and a grid of patches, got ",
                                                  tokens, " tokens of images of ", height, " x ", width));
    Tensor result(Spec{{count, rows, columns}, Dtype::f32, kCpu});
    std::span<float> out = result.mutable_data<float>();
    for (int64_t n = 0; n < count; ++n) {
        // The class token's row, from the last block to the first: a vector through each matrix.
        std::vector<double> row(static_cast<std::size_t>(tokens), 0);
        row[0] = 1;
        for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) {
            const Matrix attention = mean_attention(layer->first, n, layer->second);
            std::vector<double> next(row.size(), 0);
            for (int64_t i = 0; i < tokens; ++i) {
                for (int64_t j = 0; j < tokens; ++j) next[j] += row[i] * attention[i * tokens + j] / 2;
                next[i] += row[i] / 2;
            }
            row = std::move(next);
        }
        for (int64_t j = 1; j < tokens; ++j) out[n * (tokens - 1) + j - 1] = static_cast<float>(row[j]);
    }
    return result;
}

}  // namespace microtome
