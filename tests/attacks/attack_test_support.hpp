// Classifiers whose robustness is known on paper, and what the tests of attacks share.
#pragma once

#include "attacks/attack.hpp"
#include "nn/models/registry.hpp"
#include "tests/nn/model_test_support.hpp"

#include <cmath>
#include <numeric>

namespace microtome::test {

// logits = W x + b over an image's values, in order: for two classes with row 0 zero, class 1 where
// w x + b > 0.
class LinearClassifier : public Classifier {
  public:
    // weights: classes rows of H W C values.
    LinearClassifier(Shape image, std::vector<std::vector<float>> weights, std::vector<float> bias)
        : weights_(std::move(weights)), bias_(std::move(bias)) {
        options_.height = image[0], options_.width = image[1], options_.channels = image[2];
    }
    int64_t classes() const override { return static_cast<int64_t>(bias_.size()); }
    const ImageOptions& image() const override { return options_; }

  private:
    Tensor run(const Batch& batch, const Query&) override {
        images_ = batch.images.shape();
        const int64_t n = images_[0], size = images_.elements() / std::max<int64_t>(n, 1);
        Tensor logits(Spec{Shape{n, classes()}});
        for (int64_t i = 0; i < n; ++i)
            for (int64_t c = 0; c < classes(); ++c) {
                double sum = bias_[c];
                for (int64_t j = 0; j < size; ++j)
                    sum += static_cast<double>(weights_[c][j]) * batch.images.data<float>()[i * size + j];
                logits.mutable_data<float>()[i * classes() + c] = static_cast<float>(sum);
            }
        return logits;
    }
    Tensor pull(const Tensor& dlogits) override {
        Tensor result = Tensor::zeros(images_);
        const int64_t n = images_[0], size = images_.elements() / std::max<int64_t>(n, 1);
        for (int64_t i = 0; i < n; ++i)
            for (int64_t c = 0; c < classes(); ++c)
                for (int64_t j = 0; j < size; ++j)
                    result.mutable_data<float>()[i * size + j] +=
                        dlogits.data<float>()[i * classes() + c] * weights_[c][j];
        return result;
    }

    std::vector<std::vector<float>> weights_;
    std::vector<float> bias_;
    ImageOptions options_;
    Shape images_;
};

// Two classes apart by w x + b = 0, x being (1, 1, w.size()).
inline LinearClassifier binary(const std::vector<float>& w, float bias) {
    return {Shape{1, 1, static_cast<int64_t>(w.size())}, {std::vector<float>(w.size()), w}, {0, bias}};
}

// The study's network on 40 x 40 pixels, untrained, three classes.
inline LoadedModel small_cnn() {
    ModelCard card{
        .architecture = "cnn",
        .options = {.classes = 3, .image = {.height = 40, .width = 40}, .numbers = {{"channels", 3}}},
        .classes = {"a", "b", "c"},
        .training = {}};
    auto model = make_model(card.architecture, card.options);
    model->initialize(2);
    return {std::move(model), card};
}

inline std::vector<int64_t> predictions(Classifier& classifier, const Batch& batch) {
    const Tensor logits = classifier.logits(batch);
    const int64_t n = logits.size(0), classes = logits.size(1);
    std::vector<int64_t> result;
    for (int64_t i = 0; i < n; ++i) {
        const auto row = logits.data<float>().subspan(i * classes, classes);
        result.push_back(std::max_element(row.begin(), row.end()) - row.begin());
    }
    return result;
}

// Images with the classifier's own answers for truth, so that an attack has to start from the right side.
inline Batch answered(Classifier& classifier, const Tensor& images, int64_t first_id = 0) {
    Batch batch{.images = images};
    for (int64_t i = 0; i < images.size(0); ++i) batch.ids.push_back(first_id + i);
    batch.targets = Tensor::of(predictions(classifier, batch), {images.size(0)});
    return batch;
}

// Which images are not classified as their targets say.
inline std::vector<bool> wrong(Classifier& classifier, Batch batch, const Tensor& images) {
    batch.images = images;
    const std::vector<int64_t> answers = predictions(classifier, batch);
    std::vector<bool> result;
    for (std::size_t i = 0; i < answers.size(); ++i)
        result.push_back(answers[i] != batch.targets.data<int64_t>()[i]);
    return result;
}

// Differences are exact in double.
inline double linf_distance(const Tensor& a, const Tensor& b) {
    double most = 0;
    for (int64_t i = 0; i < a.elements(); ++i)
        most = std::max(most, std::abs(static_cast<double>(a.data<float>()[i]) - b.data<float>()[i]));
    return most;
}
inline double l2_distance(const Tensor& a, const Tensor& b, int64_t image) {
    const int64_t size = a.elements() / a.size(0);
    double sum = 0;
    for (int64_t i = image * size; i < (image + 1) * size; ++i) {
        const double d = static_cast<double>(a.data<float>()[i]) - b.data<float>()[i];
        sum += d * d;
    }
    return std::sqrt(sum);
}
inline bool in_box(const Tensor& x) {
    const auto values = x.data<float>();
    return std::all_of(values.begin(), values.end(), [](float v) { return v >= 0 && v <= 1; });
}

}  // namespace microtome::test
