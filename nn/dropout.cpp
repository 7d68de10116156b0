#include "nn/dropout.hpp"

#include "autograd/ops/arithmetic.hpp"
#include "autograd/ops/elementwise.hpp"
#include "tensor/random.hpp"

namespace microtome {
namespace {

double checked(const char* layer, double rate) {
    if (!(rate >= 0 && rate < 1)) throw OptionsError(layer, str("expected a rate in [0,1), got ", rate));
    return rate;
}

// `count` uniform numbers for each sample of a batch, in order.
std::vector<float> draw(const char* layer, const std::string& path, const Pass& pass, int64_t samples,
                        int64_t count) {
    if (pass.step < 0)
        throw OptionsError(layer, "expected a pass that says its step, got none",
                           "model(x, {.seed = ..., .step = step}); the same step draws the same numbers");
    if (!pass.ids.empty() && static_cast<int64_t>(pass.ids.size()) != samples)
        throw ShapeError(layer, str("expected ids for ", samples, " samples or none, got ", pass.ids.size()));
    const uint64_t purpose = purpose_of(str(layer, ":", path));
    std::vector<float> result(static_cast<std::size_t>(samples * count));
    for (int64_t n = 0; n < samples; ++n) {
        const int64_t id = pass.ids.empty() ? n : pass.ids[n];
        fill_uniform({.seed = pass.seed,
                      .purpose = purpose,
                      .sample = static_cast<uint64_t>(id),
                      .restart = static_cast<uint32_t>(pass.restart),
                      .step = static_cast<uint32_t>(pass.step)},
                     std::span(result).subspan(n * count, count));
    }
    return result;
}

}  // namespace

Dropout::Dropout(double rate) : rate_(checked("dropout", rate)) {}

std::string Dropout::options() const {
    return str("rate ", rate_);
}

Tensor Dropout::forward(const Tensor& x, const Pass& pass) {
    if (!training() || rate_ == 0) return x;
    if (x.rank() < 1) throw ShapeError("dropout", str("expected a batch of samples, got ", x.spec()));
    const Spec spec{{(x.elements() + 7) / 8}, Dtype::u8, x.device()};
    Tensor gate = Tensor::abstract(spec);
    if (!x.is_abstract()) {
        gate = Tensor::zeros(spec.shape, spec.dtype);
        const int64_t count = x.size(0) ? x.elements() / x.size(0) : 0;
        const std::vector<float> drawn = draw("dropout", path(), pass, x.size(0), count);
        std::span<uint8_t> bits = gate.mutable_data<uint8_t>();
        const float rate = static_cast<float>(rate_);
        for (std::size_t i = 0; i < drawn.size(); ++i)
            bits[i / 8] |= static_cast<uint8_t>((drawn[i] >= rate) << (i % 8));
    }
    return apply_gate(x, gate) * (1 / (1 - rate_));
}

DropPath::DropPath(double rate) : rate_(checked("drop_path", rate)) {}

std::string DropPath::options() const {
    return str("rate ", rate_);
}

Tensor DropPath::forward(const Tensor& x, const Pass& pass) {
    if (!training() || rate_ == 0) return x;
    if (x.rank() < 1) throw ShapeError("drop_path", str("expected a batch of samples, got ", x.spec()));
    Shape shape = x.shape();
    for (int axis = 1; axis < shape.rank(); ++axis) shape = shape.with(axis, 1);
    Tensor scale = Tensor::abstract({shape, x.dtype(), x.device()});
    if (!x.is_abstract()) {
        const std::vector<float> drawn = draw("drop_path", path(), pass, x.size(0), 1);
        scale = visit_f32_f64("drop_path", x.dtype(), [&]<class T>() {
            std::vector<T> scales;
            for (float number : drawn)
                scales.push_back(number < static_cast<float>(rate_) ? T(0) : static_cast<T>(1 / (1 - rate_)));
            return Tensor::of(scales, shape);
        });
    }
    return x * scale;
}

}  // namespace microtome
