// The two blocks of residual networks (He, Zhang, Ren and Sun 2016, figure 5), under torchvision's names.
// Their shortcut is the input, or where the shape changes a 1x1 convolution with the block's stride and batch
// norm.
#pragma once

#include "nn/layers.hpp"
#include "nn/normalization.hpp"

namespace microtome {

// What convolutions of residual networks have in common: padding that keeps the size, no bias because batch
// norm follows, He normal by fan_out.
Conv2dOptions residual_filters(int64_t kernel, int64_t stride);

// relu(norm(conv(relu(norm(conv(x))))) + shortcut(x)), 3x3 both.
class BasicBlock : public Module {
  public:
    static constexpr int64_t kExpansion = 1;

    BasicBlock(int64_t in, int64_t out, int64_t stride);
    std::string_view kind() const override { return "BasicBlock"; }

  private:
    Tensor forward(const Tensor& x, const Pass& pass) override;
    Conv2d& conv1_;
    BatchNorm& bn1_;
    Conv2d& conv2_;
    BatchNorm& bn2_;
    Module& relu_;
    Sequential* downsample_ = nullptr;
};

// 1x1 to `width` channels, 3x3, 1x1 to four times as many, each with batch norm, ReLU behind the first two
// and behind the sum. The stride is in the 3x3 convolution, as torchvision has it; the paper has it in the
// first.
class Bottleneck : public Module {
  public:
    static constexpr int64_t kExpansion = 4;

    Bottleneck(int64_t in, int64_t width, int64_t stride);
    std::string_view kind() const override { return "Bottleneck"; }

  private:
    Tensor forward(const Tensor& x, const Pass& pass) override;
    Conv2d& conv1_;
    BatchNorm& bn1_;
    Conv2d& conv2_;
    BatchNorm& bn2_;
    Conv2d& conv3_;
    BatchNorm& bn3_;
    Module& relu_;
    Sequential* downsample_ = nullptr;
};

}  // namespace microtome
