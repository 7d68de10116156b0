// What stands between an image and the layers: part of the model, so that whoever holds the model cannot
// normalise twice, or forget to.
#pragma once

#include "nn/module.hpp"

namespace microtome {

// Images come in as (N, H, W, C) in [0, 1]. What the layers behind were trained on is said here.
struct ImageOptions {
    int64_t height = 0, width = 0, channels = 3;
    bool resize = false;  // whether images of other sizes are taken, and brought to height x width bilinearly
    double low = 0, high = 1;         // what black and white become: 0 and 255, or -1 and 1, in some models
    std::vector<double> mean{};       // then (x - mean) / deviation, channel by channel
    std::vector<double> deviation{};  // both empty: no normalisation

    friend bool operator==(const ImageOptions&, const ImageOptions&) = default;
};

// Checks the image contract, resizes (as Keras: half-pixel centres, no antialias) where that is allowed,
// takes [0, 1] to [low, high], normalises. It has no parameters. It does not look at pixel values: their
// range is checked where images are read and attacks are projected.
class Preprocess : public Module {
  public:
    // Throws OptionsError for sizes below 1, high <= low, deviations of 0 or below, or a wrong number of
    // them.
    explicit Preprocess(const ImageOptions& options);
    std::string_view kind() const override { return "Preprocess"; }
    std::string options() const override;

  private:
    Tensor forward(const Tensor& x, const Pass& pass) override;
    ImageOptions options_;
    std::vector<double> scale_, shift_;  // y = x scale + shift; empty where that is the identity
};

}  // namespace microtome
