// Flattened pixels through dense layers with ReLU: the smallest classifier that is not linear, and with no
// hidden layer the linear one.
#pragma once

#include "nn/layers.hpp"
#include "nn/preprocess.hpp"

namespace microtome {

struct MlpOptions {
    int64_t classes = 5;
    ImageOptions image{.height = 28, .width = 28};
    int64_t width = 128;  // of each hidden layer
    int64_t depth = 1;    // hidden layers, 0 or more
};

// He normal weights, biases 0. Layers are fc1, fc2, ..., the last of them the head.
class Mlp : public Module {
  public:
    explicit Mlp(const MlpOptions& options = {});
    std::string_view kind() const override { return "Mlp"; }

  private:
    Tensor forward(const Tensor& x, const Pass& pass) override;
    Preprocess& preprocess_;
    Module& relu_;
    std::vector<Linear*> layers_;
};

}  // namespace microtome
