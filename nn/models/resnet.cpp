#include "nn/models/resnet.hpp"

namespace microtome {
namespace {

int64_t expansion(ResidualBlock block) {
    return block == ResidualBlock::basic ? BasicBlock::kExpansion : Bottleneck::kExpansion;
}

}  // namespace

Resnet::Resnet(const ResnetOptions& options)
    : preprocess_(add<Preprocess>("preprocess", options.image)),
      conv1_(add<Conv2d>("conv1", options.image.channels, options.width, residual_filters(7, 2))),
      bn1_(add<BatchNorm>("bn1", options.width)),
      relu_(add<Relu>("relu")),
      maxpool_(add<MaxPool2d>("maxpool", 3, 2, 1)),
      stages_([&] {
          std::vector<Sequential*> stages;
          int64_t in = options.width;
          for (int64_t stage = 0; stage < 4; ++stage) {
              const int64_t depth = options.depths[static_cast<std::size_t>(stage)];
              if (depth < 1)
                  throw OptionsError("resnet", str("expected 1 block or more in a stage, got ", depth));
              stages.push_back(&add<Sequential>(str("layer", stage + 1)));
              const int64_t width = options.width << stage;
              for (int64_t block = 0; block < depth; ++block) {
                  const int64_t stride = stage > 0 && block == 0 ? 2 : 1;
                  if (options.block == ResidualBlock::basic)
                      stages.back()->then<BasicBlock>(in, width, stride);
                  else
                      stages.back()->then<Bottleneck>(in, width, stride);
                  in = expansion(options.block) * width;
              }
          }
          return stages;
      }()),
      avgpool_(add<GlobalAveragePool>("avgpool")),
      fc_(add<Linear>("fc", expansion(options.block) * 8 * options.width, options.classes)) {}

Tensor Resnet::forward(const Tensor& x, const Pass& pass) {
    Tensor y = relu_(bn1_(conv1_(preprocess_(x, pass), pass), pass), pass);
    y = maxpool_(y, pass);
    for (Sequential* stage : stages_) y = (*stage)(y, pass);
    return fc_(avgpool_(y, pass), pass);
}

}  // namespace microtome
