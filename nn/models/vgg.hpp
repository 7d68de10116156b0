// VGG (Simonyan and Zisserman 2015), configuration D: thirteen 3x3 convolutions with ReLU in five groups,
// each followed by a pooling that halves the image, then three dense layers. No batch norm. Names are
// torchvision's.
#pragma once

#include "nn/dropout.hpp"
#include "nn/layers.hpp"
#include "nn/preprocess.hpp"

namespace microtome {

struct VggOptions {
    int64_t classes = 5;
    ImageOptions image{.height = 224, .width = 224};
    int64_t hidden = 4096;  // width of the two dense layers before the last
    double dropout = 0.5;   // behind each of them
};

// 138,357,544 weights for 1000 classes, of which the dense layers have nine tenths. Images of other sizes are
// pooled to 7x7 before them; those below 32 pixels a side are too small.
class Vgg16 : public Module {
  public:
    explicit Vgg16(const VggOptions& options = {});
    std::string_view kind() const override { return "VGG"; }

  private:
    Tensor forward(const Tensor& x, const Pass& pass) override;
    Preprocess& preprocess_;
    Sequential& features_;
    Module& avgpool_;
    Sequential& classifier_;
};

}  // namespace microtome
