#include "studies/attention_pictures.hpp"

#include "autograd/ops/image.hpp"
#include "autograd/tape.hpp"
#include "evaluation/attention_rollout.hpp"

#include <algorithm>

namespace microtome {
namespace {

constexpr float kDarkest = 0.2f;

Tensor as_floats(const Tensor& image) {
    if (image.dtype() == Dtype::f32) return image;
    Tensor result(Spec{image.shape(), Dtype::f32, kCpu});
    std::span<const uint8_t> from = image.data<uint8_t>();
    std::span<float> to = result.mutable_data<float>();
    for (std::size_t i = 0; i < to.size(); ++i) to[i] = static_cast<float>(from[i]) / 255.0f;
    return result;
}

Tensor dimmed(Module& model, const ImageOptions& size, const Tensor& stored) {
    PauseTapes pause;
    const Tensor image = as_floats(stored);
    const int64_t height = image.size(0), width = image.size(1), channels = image.size(2);
    const Tensor rollout =
        attention_rollout(model, image.view(Shape{1, height, width, channels}), size.height, size.width);
    Tensor light =
        resize_bilinear(rollout.view(Shape{1, rollout.size(1), rollout.size(2), 1}), height, width);
    std::span<float> lights = light.mutable_data<float>();
    const float most = std::max(*std::max_element(lights.begin(), lights.end()), 1e-12f);
    Tensor result = image.clone();
    std::span<float> pixels = result.mutable_data<float>();
    for (std::size_t i = 0; i < pixels.size(); ++i)
        pixels[i] *= kDarkest + (1 - kDarkest) * lights[i / static_cast<std::size_t>(channels)] / most;
    return result;
}

}  // namespace

std::vector<report::Picture> attention_pictures(Module& model, const ImageOptions& size,
                                                const std::string& name,
                                                const std::vector<report::PerturbationStrip>& strips) {
    std::vector<report::Picture> pictures;
    if (!has_attention(model)) return pictures;
    for (const report::PerturbationStrip& strip : strips) {
        pictures.push_back({dimmed(model, size, strip.original),
                            str(name, ", clean: ", strip.truth, " taken for ", strip.before.name)});
        pictures.push_back({dimmed(model, size, strip.adversarial),
                            str(name, ", ", strip.attack, ": taken for ", strip.after.name)});
    }
    return pictures;
}

}  // namespace microtome
