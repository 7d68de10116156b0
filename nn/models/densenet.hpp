// Densely connected networks (Huang, Liu, van der Maaten and Weinberger 2017): each layer sees what all
// layers before it in its block made, and adds a few channels. Between blocks a transition halves channels
// and image. Names are torchvision's.
#pragma once

#include "nn/layers.hpp"
#include "nn/normalization.hpp"
#include "nn/preprocess.hpp"

#include <array>

namespace microtome {

struct DensenetOptions {
    int64_t classes = 5;
    ImageOptions image{.height = 224, .width = 224};
    std::array<int64_t, 4> depths{6, 12, 24, 16};  // layers in each block
    int64_t growth = 32;                           // channels that a layer adds; the first has twice as many
};

// As it stands DenseNet-121: 7,978,856 weights for 1000 classes. Throws OptionsError for a depth below 1.
class Densenet : public Module {
  public:
    explicit Densenet(const DensenetOptions& options = {});
    std::string_view kind() const override { return "DenseNet"; }

  private:
    Tensor forward(const Tensor& x, const Pass& pass) override;
    Preprocess& preprocess_;
    Sequential& features_;
    Module &relu_, &avgpool_;
    Linear& classifier_;
};

// x, and behind its channels conv(relu(norm(conv(relu(norm(x)))))): 1x1 to 4 `growth` channels, 3x3 to
// `growth`.
class DenseLayer : public Module {
  public:
    DenseLayer(int64_t in, int64_t growth);
    std::string_view kind() const override { return "DenseLayer"; }

  private:
    Tensor forward(const Tensor& x, const Pass& pass) override;
    BatchNorm& norm1_;
    Module& relu1_;
    Conv2d& conv1_;
    BatchNorm& norm2_;
    Module& relu2_;
    Conv2d& conv2_;
};

}  // namespace microtome
