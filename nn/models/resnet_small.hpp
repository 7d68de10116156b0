// A small residual network for small images (He, Zhang, Ren and Sun 2016, section 4.2, with projections): a
// 3x3 convolution, three stages of basic blocks, the first block of the second and third halving the image
// and doubling the channels, the mean over what is left, a dense layer.
#pragma once

#include "nn/models/residual_blocks.hpp"
#include "nn/preprocess.hpp"

namespace microtome {

struct ResnetSmallOptions {
    int64_t classes = 5;
    ImageOptions image{.height = 32, .width = 32};
    int64_t channels = 16;  // of the first stage
    int64_t blocks = 1;     // a stage
};

// Batch norm and weights by PyTorch's conventions: He normal by fan_out for filters. Names: conv1, bn1,
// layer1.0.conv1, ..., fc.
class ResnetSmall : public Module {
  public:
    explicit ResnetSmall(const ResnetSmallOptions& options = {});
    std::string_view kind() const override { return "ResnetSmall"; }

  private:
    Tensor forward(const Tensor& x, const Pass& pass) override;
    Preprocess& preprocess_;
    Conv2d& conv1_;
    BatchNorm& bn1_;
    Module& relu_;
    std::vector<Sequential*> stages_;
    Module& pool_;
    Linear& fc_;
};

}  // namespace microtome
