#include "studies/attention_pictures.hpp"

#include "autograd/ops/image.hpp"
#include "autograd/tape.hpp"
#include "evaluation/attention_rollout.hpp"
#include "report/format.hpp"

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

// An image, and how much of the class token each of its pixels' patches may have reached: 1 is an even share.
struct Look {
    Tensor image, light;
    float least = 0, most = 0;  // of the patches
};

Look look_at(Module& model, const ImageOptions& size, const Tensor& stored) {
    PauseTapes pause;
    Look look{.image = as_floats(stored), .light = {}};
    const int64_t height = look.image.size(0), width = look.image.size(1), channels = look.image.size(2);
    Tensor rollout =
        attention_rollout(model, look.image.view(Shape{1, height, width, channels}), size.height, size.width);
    std::span<float> patches = rollout.mutable_data<float>();
    double sum = 0;
    for (float patch : patches) sum += patch;
    const double even = std::max(sum / static_cast<double>(patches.size()), 1e-30);
    for (float& patch : patches) patch = static_cast<float>(patch / even);
    const auto [least, most] = std::minmax_element(patches.begin(), patches.end());
    look.least = *least, look.most = *most;
    look.light = resize_bilinear(rollout.view(Shape{1, rollout.size(1), rollout.size(2), 1}), height, width);
    return look;
}

// Dimmed in equal parts from `most`, which stays as it is, to `least`.
report::Picture picture(const Look& look, float least, float most, const std::string& caption) {
    Tensor image = look.image.clone();
    std::span<const float> lights = look.light.data<float>();
    std::span<float> pixels = image.mutable_data<float>();
    const std::size_t channels = pixels.size() / std::max<std::size_t>(lights.size(), 1);
    const float range = std::max(most - least, 1e-12f);
    for (std::size_t i = 0; i < pixels.size(); ++i) {
        const float part = std::clamp((lights[i / channels] - least) / range, 0.0f, 1.0f);
        pixels[i] *= kDarkest + (1 - kDarkest) * part;
    }
    return {image, str(caption, "; ", report::share_text(look.least), " to ", report::share_text(look.most),
                       " of an even share")};
}

}  // namespace

std::vector<report::Picture> attention_pictures(Module& model, const ImageOptions& size,
                                                const std::string& name,
                                                const std::vector<report::PerturbationStrip>& strips) {
    std::vector<report::Picture> pictures;
    if (!has_attention(model)) return pictures;
    for (const report::PerturbationStrip& strip : strips) {
        const Look clean = look_at(model, size, strip.original),
                   attacked = look_at(model, size, strip.adversarial);
        const float least = std::min(clean.least, attacked.least), most = std::max(clean.most, attacked.most);
        pictures.push_back(picture(clean, least, most,
                                   str(name, ", clean: ", strip.truth, " taken for ", strip.before.name)));
        pictures.push_back(
            picture(attacked, least, most, str(name, ", ", strip.attack, ": taken for ", strip.after.name)));
    }
    return pictures;
}

}  // namespace microtome
