// A classifier and attacks small enough to reckon with by hand.
#pragma once

#include "base/text.hpp"
#include "evaluation/robust_accuracy.hpp"

#include <functional>
#include <utility>

namespace microtome::test {

// Grey images of 2 x 2 pixels, two classes: the logits are 0 and gain (mean pixel - 1/2), so that class 1 is
// "brighter than one half" and the L-inf distance to the other class is the distance of the mean from it.
// A subclass plants a fault.
class Brightness : public Classifier {
  public:
    explicit Brightness(float gain = 8) : gain_(gain) {}
    int64_t classes() const override { return 2; }
    const ImageOptions& image() const override { return image_; }
    std::optional<uint64_t> fingerprint() const override { return state_; }

  protected:
    virtual float logit(float mean, float /*mean of the whole batch*/) const { return gain_ * (mean - 0.5f); }
    virtual void asked() {}
    uint64_t state_ = 1;

  private:
    Tensor run(const Batch& batch, const Query&) override {
        asked();
        std::span<const float> x = batch.images.data<float>();
        float all = 0;
        for (float value : x) all += value / static_cast<float>(x.size());
        std::vector<float> result;
        for (std::size_t i = 0; i < x.size(); i += 4) {
            result.push_back(0);
            result.push_back(logit((x[i] + x[i + 1] + x[i + 2] + x[i + 3]) / 4, all));
        }
        return Tensor::of(result, {batch.images.size(0), 2});
    }
    Tensor pull(const Tensor& dlogits) override {
        std::span<const float> d = dlogits.data<float>();
        std::vector<float> result;
        for (std::size_t i = 1; i < d.size(); i += 2) result.insert(result.end(), 4, d[i] * gain_ / 4);
        return Tensor::of(result, {dlogits.size(0), 2, 2, 1});
    }

    float gain_;
    ImageOptions image_{.height = 2, .width = 2, .channels = 1};
};

// An attack that is whatever function it is given.
class AnyAttack : public Attack {
  public:
    using Run = std::function<Tensor(Classifier&, const Batch&)>;
    AnyAttack(std::string name, Threat threat, Passes cost, Run run)
        : name_(std::move(name)), threat_(threat), cost_(cost), run_(std::move(run)) {}
    std::string_view name() const override { return name_; }
    AttackOptions options() const override { return {{"epsilon", str(threat_.epsilon)}, {"seed", "0"}}; }
    Threat threat() const override { return threat_; }
    Passes cost() const override { return cost_; }
    Tensor run(Classifier& classifier, const Batch& batch) const override { return run_(classifier, batch); }

  private:
    std::string name_;
    Threat threat_;
    Passes cost_;
    Run run_;
};

// Each image moved by `steps` times epsilon / steps against its label, by the classifier's gradient, in
// [0,1]; direction -1 moves it towards its label, as a sign error would.
inline AnyAttack::Run sign_steps(double epsilon, int steps, float direction = 1) {
    return [=](Classifier& classifier, const Batch& batch) {
        Tensor images = batch.images.clone();
        std::span<const float> centre = batch.images.data<float>();
        for (int step = 0; step < steps; ++step) {
            classifier.logits({.images = images, .ids = batch.ids}, {.step = step});
            std::vector<float> up;  // the gradient of minus the label's margin
            for (int64_t label : batch.targets.data<int64_t>())
                up.insert(up.end(),
                          {label == 1 ? direction : -direction, label == 1 ? -direction : direction});
            const Tensor gradient = classifier.vjp(Tensor::of(up, {batch.images.size(0), 2}));
            std::span<const float> g = gradient.data<float>();
            std::span<float> x = images.mutable_data<float>();
            const auto bound = static_cast<float>(epsilon), by = bound / static_cast<float>(steps);
            for (std::size_t k = 0; k < x.size(); ++k) {
                const float moved = x[k] + (g[k] > 0 ? by : g[k] < 0 ? -by : 0);
                x[k] =
                    std::clamp(moved, std::max(0.0f, centre[k] - bound), std::min(1.0f, centre[k] + bound));
            }
        }
        return images;
    };
}

inline AnyAttack steps_attack(double epsilon, int steps = 4, std::string name = "steps") {
    return {std::move(name), {.epsilon = epsilon}, {steps, steps}, sign_steps(epsilon, steps)};
}

inline Tensor moved(const Tensor& images, float by) {
    Tensor result = images.clone();
    for (float& value : result.mutable_data<float>()) value += by;
    return result;
}

// 2n images on the 8-bit grid, of even grey: n below and n above one half, by 1, 2, ... n grey levels each;
// every label is right but `wrong` ones of the brightest.
inline Batch grey_images(int64_t n, int64_t wrong = 0) {
    std::vector<float> pixels;
    std::vector<int64_t> labels;
    for (int64_t i = 1; i <= n; ++i)
        for (int64_t side : {0, 1}) {
            pixels.insert(pixels.end(), 4, static_cast<float>(side ? 127 + i : 128 - i) / 255);
            labels.push_back(side == 1 && i > n - wrong ? 0 : side);
        }
    Batch batch{.images = Tensor::of(pixels, {2 * n, 2, 2, 1}), .targets = Tensor::of(labels, {2 * n})};
    for (int64_t i = 0; i < 2 * n; ++i) batch.ids.push_back(100 + i);
    return batch;
}

}  // namespace microtome::test
