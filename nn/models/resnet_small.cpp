#include "nn/models/resnet_small.hpp"

namespace microtome {

ResnetSmall::ResnetSmall(const ResnetSmallOptions& options)
    : preprocess_(add<Preprocess>("preprocess", options.image)),
      conv1_(add<Conv2d>("conv1", options.image.channels, options.channels, residual_filters(3, 1))),
      bn1_(add<BatchNorm>("bn1", options.channels)),
      relu_(add<Relu>("relu")),
      stages_([&] {
          if (options.blocks < 1)
              throw OptionsError("resnet-small", str("expected blocks of 1 or more, got ", options.blocks));
          std::vector<Sequential*> stages;
          int64_t in = options.channels;
          for (int64_t stage = 0; stage < 3; ++stage) {
              stages.push_back(&add<Sequential>(str("layer", stage + 1)));
              const int64_t out = options.channels << stage;
              for (int64_t block = 0; block < options.blocks; ++block) {
                  stages.back()->then<BasicBlock>(in, out, stage > 0 && block == 0 ? 2 : 1);
                  in = out;
              }
          }
          return stages;
      }()),
      pool_(add<GlobalAveragePool>("avgpool")),
      fc_(add<Linear>("fc", 4 * options.channels, options.classes)) {}

Tensor ResnetSmall::forward(const Tensor& x, const Pass& pass) {
    Tensor y = relu_(bn1_(conv1_(preprocess_(x, pass), pass), pass), pass);
    for (Sequential* stage : stages_) y = (*stage)(y, pass);
    return fc_(pool_(y, pass), pass);
}

}  // namespace microtome
