#include "nn/models/cnn.hpp"

#include "autograd/ops/shaping.hpp"

namespace microtome {
namespace {

// Pixels a side behind two "same" and two "valid" convolutions, each with a pooling that rounds down.
int64_t last_size(int64_t size) {
    const int64_t last = ((size / 2 / 2 - 2) / 2 - 2) / 2;
    if (last < 1) throw OptionsError("cnn", str("expected images of 40 pixels a side or more, got ", size));
    return last;
}

// Weights (O, ...) by Glorot and Bengio's law, biases 0.
Conv2dOptions filters(int64_t padding) {
    return {.padding = padding, .weight_start = glorot_uniform(), .bias_start = zeros()};
}

}  // namespace

Cnn::Cnn(const CnnOptions& options)
    : options_(options),
      preprocess_(add<Preprocess>("preprocess", options.image)),
      conv1_(add<Conv2d>("conv1", options.image.channels, options.channels, filters(1))),
      conv2_(add<Conv2d>("conv2", options.channels, 2 * options.channels, filters(1))),
      conv3_(add<Conv2d>("conv3", 2 * options.channels, 2 * options.channels, filters(0))),
      conv4_(add<Conv2d>("conv4", 2 * options.channels, 2 * options.channels, filters(0))),
      relu_(add<Relu>("relu")),
      pool_(add<MaxPool2d>("pool", 2)),
      norm_(add<BatchNorm>("norm", 2 * options.channels,
                           BatchNormOptions{.eps = kKerasBatchNorm.eps,
                                            .new_weight = 1 - options.bn_momentum,
                                            .unbiased_variance = kKerasBatchNorm.unbiased_variance})),
      fc1_(add<Linear>(
          "fc1", last_size(options.image.height) * last_size(options.image.width) * 2 * options.channels,
          2 * options.channels,
          LinearOptions{.weight_start = glorot_uniform(),
                        .bias_start = zeros(),
                        .images = {last_size(options.image.height), last_size(options.image.width),
                                   2 * options.channels}})),
      fc2_(add<Linear>("fc2", 2 * options.channels, options.classes,
                       LinearOptions{.weight_start = glorot_uniform(), .bias_start = zeros()})) {}

Tensor Cnn::forward(const Tensor& x, const Pass& pass) {
    Tensor y = preprocess_(x, pass);  // (N, 180, 180, 3)
    // In training one op does what three layers say, unless somebody watches the layers.
    const bool fused = training() && !pass.before && !pass.after;
    for (Conv2d* conv : {&conv1_, &conv2_, &conv3_, &conv4_})  // 90, 45, 43 -> 21, 19 -> 9
        y = fused ? conv->relu_pool(y) : pool_(relu_((*conv)(y, pass), pass), pass);
    y = flatten(norm_(y, pass));  // (N, 9 * 9 * 64)
    return fc2_(relu_(fc1_(y, pass), pass), pass);
}

}  // namespace microtome
