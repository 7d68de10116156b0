#include "nn/models/residual_blocks.hpp"

#include "autograd/ops/arithmetic.hpp"

namespace microtome {

Conv2dOptions residual_filters(int64_t kernel, int64_t stride) {
    return {.kernel = kernel,
            .stride = stride,
            .padding = kernel / 2,
            .bias = false,
            .weight_start = he_normal(Fan::out)};
}

BasicBlock::BasicBlock(int64_t in, int64_t out, int64_t stride)
    : conv1_(add<Conv2d>("conv1", in, out, residual_filters(3, stride))),
      bn1_(add<BatchNorm>("bn1", out)),
      conv2_(add<Conv2d>("conv2", out, out, residual_filters(3, 1))),
      bn2_(add<BatchNorm>("bn2", out)),
      relu_(add<Relu>("relu")) {
    if (stride == 1 && in == out) return;
    downsample_ = &add<Sequential>("downsample");
    downsample_->then<Conv2d>(in, out, residual_filters(1, stride)).then<BatchNorm>(out);
}

Tensor BasicBlock::forward(const Tensor& x, const Pass& pass) {
    Tensor y = relu_(bn1_(conv1_(x, pass), pass), pass);
    y = bn2_(conv2_(y, pass), pass);
    return relu_(y + (downsample_ ? (*downsample_)(x, pass) : x), pass);
}

Bottleneck::Bottleneck(int64_t in, int64_t width, int64_t stride)
    : conv1_(add<Conv2d>("conv1", in, width, residual_filters(1, 1))),
      bn1_(add<BatchNorm>("bn1", width)),
      conv2_(add<Conv2d>("conv2", width, width, residual_filters(3, stride))),
      bn2_(add<BatchNorm>("bn2", width)),
      conv3_(add<Conv2d>("conv3", width, kExpansion * width, residual_filters(1, 1))),
      bn3_(add<BatchNorm>("bn3", kExpansion * width)),
      relu_(add<Relu>("relu")) {
    if (stride == 1 && in == kExpansion * width) return;
    downsample_ = &add<Sequential>("downsample");
    downsample_->then<Conv2d>(in, kExpansion * width, residual_filters(1, stride))
        .then<BatchNorm>(kExpansion * width);
}

Tensor Bottleneck::forward(const Tensor& x, const Pass& pass) {
    Tensor y = relu_(bn1_(conv1_(x, pass), pass), pass);
    y = relu_(bn2_(conv2_(y, pass), pass), pass);
    y = bn3_(conv3_(y, pass), pass);
    return relu_(y + (downsample_ ? (*downsample_)(x, pass) : x), pass);
}

}  // namespace microtome
