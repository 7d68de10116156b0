#include "studies/notebook_attacks.hpp"

#include "attacks/epsilon.hpp"
#include "attacks/losses.hpp"
#include "base/error.hpp"
#include "base/interrupt.hpp"
#include "tensor/kernels/updates.hpp"
#include "tensor/math.hpp"
#include "tensor/random.hpp"

#include <algorithm>
#include <cmath>

namespace microtome {
namespace {

void require_fitted(const char* name, const Tensor& pattern) {
    if (!pattern.defined()) throw OptionsError(name, "expected fit() before run()");
}

// The gradient of the summed cross-entropy by the images.
Tensor image_gradient(Classifier& classifier, const Batch& batch) {
    const Tensor logits = classifier.logits(batch);
    return classifier.vjp(loss_at(AttackLoss::cross_entropy, logits, batch.targets).gradient);
}

// Where position i of a line of n lies when the line is mirrored at both ends: ... 1 0 | 0 1 ... n-1 | n-1
// ...
int64_t mirrored(int64_t i, int64_t n) {
    i = ((i % (2 * n)) + 2 * n) % (2 * n);
    return i < n ? i : 2 * n - 1 - i;
}

}  // namespace

Tensor smoothed(const Tensor& x, double deviation) {
    const int64_t radius = static_cast<int64_t>(4 * deviation + 0.5);
    std::vector<double> weights;
    double sum = 0;
    for (int64_t d = -radius; d <= radius; ++d) {
        weights.push_back(math::exp(-0.5 * static_cast<double>(d * d) / (deviation * deviation)));
        sum += weights.back();
    }
    Tensor result = x.clone();
    for (int axis = 0; axis < x.rank(); ++axis) {
        const Tensor from = result.clone();
        std::span<const float> in = from.data<float>();
        std::span<float> out = result.mutable_data<float>();
        int64_t stride = 1;
        for (int later = axis + 1; later < x.rank(); ++later) stride *= x.size(later);
        const int64_t n = x.size(axis);
        for (int64_t i = 0; i < x.elements(); ++i) {
            const int64_t place = i / stride % n, line = i - place * stride;
            double value = 0;
            for (int64_t d = -radius; d <= radius; ++d)
                value = std::fma(weights[d + radius],
                                 static_cast<double>(in[line + mirrored(place + d, n) * stride]), value);
            out[i] = static_cast<float>(value / sum);
        }
    }
    return result;
}

AttackOptions NotebookPatch::options() const {
    return {{"size", str(kSide, " x ", kSide)},
            {"place", str("row ", kRow, ", column ", kColumn)},
            {"beta", str(kBlend)},
            {"steps", str(kSteps)},
            {"step", str(kRate)},
            {"smoothing", str("deviation ", kSmoothing, ", channels included")},
            {"fitted on", "one image of random noise"},
            {"loss", "cross-entropy of class 0"},
            {"seed", str(seed_)}};
}

Tensor NotebookPatch::blended(const Tensor& images) const {
    Tensor result = images.clone();
    const int64_t height = images.size(1), width = images.size(2), channels = images.size(3);
    if (kRow + kSide > height || kColumn + kSide > width || channels != patch_.size(2))
        throw ShapeError("notebook patch", str("expected images of ", kRow + kSide, " x ", kColumn + kSide,
                                               " x ", patch_.size(2), " or larger, got ", images));
    std::span<const float> patch = patch_.data<float>();
    std::span<float> out = result.mutable_data<float>();
    const float beta = static_cast<float>(kBlend);
    for (int64_t n = 0; n < images.size(0); ++n)
        for (int64_t i = 0; i < kSide; ++i)
            for (int64_t j = 0; j < kSide; ++j)
                for (int64_t c = 0; c < channels; ++c) {
                    const float p = patch[(i * kSide + j) * channels + c];
                    float& x = out[((n * height + kRow + i) * width + kColumn + j) * channels + c];
                    if (p > 0) x = std::clamp(std::fma(beta, p - x, x), 0.f, 1.f);
                }
    return result;
}

void NotebookPatch::fit(Classifier& classifier, const Shape& image) {
    const int64_t channels = image[2];
    patch_ = Tensor(Spec{{kSide, kSide, channels}});
    fill_uniform({.seed = seed_, .purpose = purpose_of("notebook patch")}, patch_);
    Tensor noise(Spec{{1, image[0], image[1], channels}});
    fill_uniform({.seed = seed_, .purpose = purpose_of("notebook noise image")}, noise);
    const Tensor class_0 = Tensor::zeros({1}, Dtype::i64);
    for (int64_t step = 0; step < kSteps; ++step) {
        const Tensor g = image_gradient(classifier, {blended(noise), class_0, {}});
        std::span<const float> slopes = g.data<float>();
        std::span<float> patch = patch_.mutable_data<float>();
        for (int64_t i = 0; i < kSide; ++i)
            for (int64_t j = 0; j < kSide; ++j)
                for (int64_t c = 0; c < channels; ++c) {
                    float& p = patch[(i * kSide + j) * channels + c];
                    const float slope = slopes[((kRow + i) * image[1] + kColumn + j) * channels + c];
                    if (p > 0)
                        p = std::clamp(std::fma(static_cast<float>(kRate * kBlend), slope, p), 0.f, 1.f);
                }
        patch_ = smoothed(patch_, kSmoothing);
    }
}

Tensor NotebookPatch::run(Classifier& classifier, const Batch& batch) const {
    require_fitted("notebook patch", patch_);
    require_attackable(name(), classifier, batch);
    return blended(batch.images);
}

AttackOptions NotebookUniversal::options() const {
    return {{"epsilon", epsilon_text(kEpsilon)},
            {"optimizer", str("Adam, Keras's conventions, rate ", kRate)},
            {"passes", str(kPasses)},
            {"loss", "cross-entropy"}};
}

bool NotebookUniversal::fit(Classifier& classifier, BatchSource& images, const ProgressOptions& options) {
    Progress progress("notebook's universal perturbation", kPasses * images.images(), "images", options);
    AdamOptions adam = AdamOptions::keras();
    adam.lr = kRate;
    Tensor v, m, square;
    int64_t step = 0;
    for (int64_t pass = 0; pass < kPasses; ++pass) {
        images.start(0);
        while (std::optional<Batch> batch = images.next()) {
            if (interrupted()) return false;
            if (!v.defined()) {
                v = Tensor::zeros(batch->images.shape().without(0));
                m = Tensor::zeros(v.shape());
                square = Tensor::zeros(v.shape());
                perturbation_ = v;
            }
            const int64_t n = batch->images.size(0), size = v.elements();
            const Tensor attacked = run(classifier, *batch);
            const Tensor g = image_gradient(classifier, {attacked, batch->targets, batch->ids});
            // Clipping to [0, 1] stops the gradient. Downhill on minus the mean loss.
            Tensor down = Tensor::zeros(v.shape());
            std::span<float> sum = down.mutable_data<float>();
            std::span<const float> x = batch->images.data<float>(), slopes = g.data<float>(),
                                   now = v.data<float>();
            for (int64_t i = 0; i < n; ++i)
                for (int64_t p = 0; p < size; ++p) {
                    const float value = x[i * size + p] + now[p];
                    if (value >= 0 && value <= 1) sum[p] -= slopes[i * size + p] / static_cast<float>(n);
                }
            kernels::adam_step(adam, ++step, down, v, m, square);
            for (float& value : v.mutable_data<float>())
                value = std::clamp(value, -static_cast<float>(kEpsilon), static_cast<float>(kEpsilon));
            progress.advance(n);
        }
    }
    return true;
}

Tensor NotebookUniversal::run(Classifier& classifier, const Batch& batch) const {
    require_fitted("notebook universal perturbation", perturbation_);
    require_attackable(name(), classifier, batch);
    if (!(batch.images.shape().without(0) == perturbation_.shape()))
        throw ShapeError("notebook universal perturbation",
                         str("expected images of ", perturbation_.shape(), ", got ", batch.images));
    Tensor result = batch.images.clone();
    std::span<float> x = result.mutable_data<float>();
    std::span<const float> v = perturbation_.data<float>();
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = std::clamp(x[i] + v[i % v.size()], 0.f, 1.f);
    return result;
}

}  // namespace microtome
