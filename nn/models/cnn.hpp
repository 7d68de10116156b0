// The convolutional network of the lung and colon study: four 3x3 convolutions, each with ReLU and a 2x2
// maximum, batch normalisation behind the last, two dense layers.
#pragma once

#include "nn/layers.hpp"
#include "nn/normalization.hpp"
#include "nn/preprocess.hpp"

namespace microtome {

struct CnnOptions {
    int64_t classes = 5;
    ImageOptions image{.height = 180, .width = 180};
    int64_t channels = 32;      // of the first convolution; the others and the dense layer have twice as many
    double bn_momentum = 0.99;  // of the running statistics, as Keras says it: PyTorch's 0.1 is 0.9 here
};

// At 180 x 180 with 5 classes 425,669 parameters, 425,541 of them trainable. Conventions are Keras's: Glorot
// uniform, biases 0, batch norm with momentum 0.99 and eps 1e-3. The original divides by 255 itself; here
// images are in [0, 1] already, and nothing divides again. Logits, no softmax.
class Cnn : public Module {
  public:
    // Throws OptionsError for images too small to survive four poolings: below 40 pixels a side.
    explicit Cnn(const CnnOptions& options = {});
    std::string_view kind() const override { return "Cnn"; }

  private:
    Tensor forward(const Tensor& x, const Pass& pass) override;
    CnnOptions options_;
    Preprocess& preprocess_;
    Conv2d &conv1_, &conv2_, &conv3_, &conv4_;
    Module &relu_, &pool_;
    BatchNorm& norm_;
    Linear &fc1_, &fc2_;
};

}  // namespace microtome
