#include "nn/models/densenet.hpp"

#include "autograd/ops/shaping.hpp"

namespace microtome {
namespace {

Conv2dOptions dense_filters(int64_t kernel, int64_t stride = 1) {
    return {.kernel = kernel,
            .stride = stride,
            .padding = kernel / 2,
            .bias = false,
            .weight_start = he_normal()};
}

}  // namespace

DenseLayer::DenseLayer(int64_t in, int64_t growth)
    : norm1_(add<BatchNorm>("norm1", in)),
      relu1_(add<Relu>("relu1")),
      conv1_(add<Conv2d>("conv1", in, 4 * growth, dense_filters(1))),
      norm2_(add<BatchNorm>("norm2", 4 * growth)),
      relu2_(add<Relu>("relu2")),
      conv2_(add<Conv2d>("conv2", 4 * growth, growth, dense_filters(3))) {}

Tensor DenseLayer::forward(const Tensor& x, const Pass& pass) {
    Tensor y = conv1_(relu1_(norm1_(x, pass), pass), pass);
    y = conv2_(relu2_(norm2_(y, pass), pass), pass);
    return concat({x, y}, 3);
}

Densenet::Densenet(const DensenetOptions& options)
    : preprocess_(add<Preprocess>("preprocess", options.image)),
      features_(add<Sequential>("features")),
      relu_(add<Relu>("relu")),
      avgpool_(add<GlobalAveragePool>("avgpool")),
      classifier_([&]() -> Linear& {
          int64_t channels = 2 * options.growth;
          features_.append_as<Conv2d>("conv0", options.image.channels, channels, dense_filters(7, 2));
          features_.append_as<BatchNorm>("norm0", channels);
          features_.append_as<Relu>("relu0");
          features_.append_as<MaxPool2d>("pool0", 3, 2, 1);
          for (int64_t block = 1; block <= 4; ++block) {
              const int64_t depth = options.depths[static_cast<std::size_t>(block - 1)];
              if (depth < 1)
                  throw OptionsError("densenet", str("expected 1 layer or more in a block, got ", depth));
              Sequential& layers = features_.append_as<Sequential>(str("denseblock", block));
              for (int64_t layer = 1; layer <= depth; ++layer, channels += options.growth)
                  layers.append_as<DenseLayer>(str("denselayer", layer), channels, options.growth);
              if (block == 4) break;
              Sequential& transition = features_.append_as<Sequential>(str("transition", block));
              transition.append_as<BatchNorm>("norm", channels);
              transition.append_as<Relu>("relu");
              transition.append_as<Conv2d>("conv", channels, channels / 2, dense_filters(1));
              transition.append_as<AveragePool2d>("pool", 2);
              channels /= 2;
          }
          features_.append_as<BatchNorm>("norm5", channels);
          return add<Linear>("classifier", channels, options.classes, LinearOptions{.bias_start = zeros()});
      }()) {}

Tensor Densenet::forward(const Tensor& x, const Pass& pass) {
    Tensor y = relu_(features_(preprocess_(x, pass), pass), pass);
    return classifier_(avgpool_(y, pass), pass);
}

}  // namespace microtome
