// Residual networks for photographs (He, Zhang, Ren and Sun 2016, table 1): a 7x7 convolution and a pooling
// that leave a sixteenth of the pixels, four stages of blocks, each but the first halving the image and
// doubling the channels, the mean over what is left, a dense layer. Names are torchvision's.
#pragma once

#include "nn/models/residual_blocks.hpp"
#include "nn/preprocess.hpp"

#include <array>

namespace microtome {

enum class ResidualBlock { basic, bottleneck };

struct ResnetOptions {
    int64_t classes = 5;
    ImageOptions image{.height = 224, .width = 224};
    ResidualBlock block = ResidualBlock::basic;
    std::array<int64_t, 4> depths{2, 2, 2, 2};  // blocks in each stage
    int64_t width = 64;                         // of the first stage
};

// With bottlenecks and depths 3, 4, 6, 3: ResNet-50, 25,557,032 weights for 1000 classes. Throws OptionsError
// for a depth below 1.
class Resnet : public Module {
  public:
    explicit Resnet(const ResnetOptions& options = {});
    std::string_view kind() const override { return "ResNet"; }

  private:
    Tensor forward(const Tensor& x, const Pass& pass) override;
    Preprocess& preprocess_;
    Conv2d& conv1_;
    BatchNorm& bn1_;
    Module &relu_, &maxpool_;
    std::vector<Sequential*> stages_;
    Module& avgpool_;
    Linear& fc_;
};

}  // namespace microtome
