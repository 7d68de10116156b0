// MobileNetV2 (Sandler, Howard, Zhu, Zhmoginov and Chen 2018, table 2), for small machines: residual blocks
// that are wide inside and narrow outside, with convolutions of one channel each. Names are torchvision's.
#pragma once

#include "nn/dropout.hpp"
#include "nn/layers.hpp"
#include "nn/normalization.hpp"
#include "nn/preprocess.hpp"

namespace microtome {

struct MobilenetOptions {
    int64_t classes = 5;
    ImageOptions image{.height = 224, .width = 224};
    double width = 1;      // times the channels of each layer, rounded to multiples of 8
    double dropout = 0.2;  // before the dense layer
};

// 3,504,872 weights for 1000 classes. Throws OptionsError for a width of 0 or below.
class MobilenetV2 : public Module {
  public:
    explicit MobilenetV2(const MobilenetOptions& options = {});
    std::string_view kind() const override { return "MobileNetV2"; }

  private:
    Tensor forward(const Tensor& x, const Pass& pass) override;
    Preprocess& preprocess_;
    Sequential& features_;
    Module& avgpool_;
    Sequential& classifier_;
};

// 1x1 to `expansion` times the channels (left out for 1), 3x3 channel by channel, 1x1 to `out` without an
// activation behind it; and x added where the shape stays.
class InvertedResidual : public Module {
  public:
    InvertedResidual(int64_t in, int64_t out, int64_t stride, int64_t expansion);
    std::string_view kind() const override { return "InvertedResidual"; }

  private:
    Tensor forward(const Tensor& x, const Pass& pass) override;
    Sequential& conv_;
    bool shortcut_;
};

}  // namespace microtome
