#include "nn/models/resnet_small.hpp"

#include "autograd/ops/arithmetic.hpp"

namespace microtome {
namespace {

Conv2dOptions filters(int64_t kernel, int64_t stride) {
    return {.kernel = kernel,
            .stride = stride,
            .padding = kernel / 2,
            .bias = false,
            .weight_start = he_normal(Fan::out)};
}

}  // namespace

BasicBlock::BasicBlock(int64_t in, int64_t out, int64_t stride)
    : conv1_(add<Conv2d>("conv1", in, out, filters(3, stride))),
      bn1_(add<BatchNorm>("bn1", out)),
      conv2_(add<Conv2d>("conv2", out, out, filters(3, 1))),
      bn2_(add<BatchNorm>("bn2", out)),
      relu_(add<Relu>("relu")) {
    if (stride == 1 && in == out) return;
    downsample_ = &add<Sequential>("downsample");
    downsample_->then<Conv2d>(in, out, filters(1, stride)).then<BatchNorm>(out);
}

Tensor BasicBlock::forward(const Tensor& x, const Pass& pass) {
    Tensor y = relu_(bn1_(conv1_(x, pass), pass), pass);
    y = bn2_(conv2_(y, pass), pass);
    return relu_(y + (downsample_ ? (*downsample_)(x, pass) : x), pass);
}

ResnetSmall::ResnetSmall(const ResnetSmallOptions& options)
    : preprocess_(add<Preprocess>("preprocess", options.image)),
      conv1_(add<Conv2d>("conv1", options.image.channels, options.channels, filters(3, 1))),
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
