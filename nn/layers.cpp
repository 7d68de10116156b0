#include "nn/layers.hpp"

#include "autograd/ops/arithmetic.hpp"
#include "autograd/ops/elementwise.hpp"
#include "autograd/ops/linear.hpp"
#include "autograd/ops/reductions.hpp"
#include "autograd/ops/shaping.hpp"

#include <cmath>

namespace microtome {
namespace {

int64_t positive(const char* layer, const char* what, int64_t size) {
    if (size < 1) throw OptionsError(layer, str("expected ", what, " of 1 or more, got ", size));
    return size;
}

void require_padding(const char* layer, int64_t padding) {
    if (padding < 0) throw OptionsError(layer, str("expected a padding of 0 or more, got ", padding));
}

Initializer bias_start(const std::optional<Initializer>& stated, int64_t fan_in) {
    return stated.value_or(uniform_within(1 / std::sqrt(static_cast<double>(fan_in))));
}

PoolOptions window(const char* layer, int64_t size, int64_t stride, int64_t padding) {
    positive(layer, "a window", size);
    positive(layer, "a stride", stride ? stride : size);
    require_padding(layer, padding);
    return {.kernel_h = size,
            .kernel_w = size,
            .stride_h = stride ? stride : size,
            .stride_w = stride ? stride : size,
            .pad_top = padding,
            .pad_bottom = padding,
            .pad_left = padding,
            .pad_right = padding};
}

std::string window_text(const PoolOptions& options) {
    return str(options.kernel_h, "x", options.kernel_w, ", stride ", options.stride_h,
               options.pad_top ? str(", padding ", options.pad_top) : "");
}

}  // namespace

Linear::Linear(int64_t in, int64_t out, const LinearOptions& options)
    : weight_(add_weight("weight", {positive("linear", "outputs", out), positive("linear", "inputs", in)},
                         options.weight_start)) {
    if (options.images.rank()) {
        if (options.images.rank() != 3 || options.images.elements() != in)
            throw ShapeError("linear",
                             str("expected images (H,W,C) of ", in, " elements, got ", options.images));
        weight_.layout = DiskLayout::channels_first;
        weight_.images = {out, options.images[0], options.images[1], options.images[2]};
    }
    if (options.bias) bias_ = &add_weight("bias", {out}, bias_start(options.bias_start, in));
}

std::string Linear::options() const {
    return str(weight_.value.size(1), " to ", weight_.value.size(0), bias_ ? "" : ", no bias");
}

Tensor Linear::forward(const Tensor& x, const Pass&) {
    if (x.rank() < 1 || x.size(-1) != weight_.value.size(1))
        throw ShapeError("linear", str("expected x with ", weight_.value.size(1),
                                       " elements along the last axis, got ", x.spec()));
    // A vector is a matrix of one row for the product.
    Tensor rows = x.rank() == 1 ? reshape(x, Shape{1, x.size(0)}) : x;
    Tensor y = matmul(rows, weight_.value, Transpose::no, Transpose::yes);
    if (x.rank() == 1) y = reshape(y, Shape{weight_.value.size(0)});
    return bias_ ? y + bias_->value : y;
}

Conv2d::Conv2d(int64_t in, int64_t out, const Conv2dOptions& options)
    : options_(options),
      weight_(add_weight(
          "weight",
          {positive("conv2d", "output channels", out), positive("conv2d", "a kernel size", options.kernel),
           options.kernel,
           positive("conv2d", "input channels", in) / positive("conv2d", "groups", options.groups)},
          options.weight_start, DiskLayout::channels_first)) {
    positive("conv2d", "a stride", options.stride);
    positive("conv2d", "a dilation", options.dilation);
    require_padding("conv2d", options.padding);
    if (in % options.groups || out % options.groups)
        throw OptionsError("conv2d", str("expected channels that ", options.groups, " groups divide, got ",
                                         in, " in and ", out, " out"));
    if (options.bias)
        bias_ = &add_weight(
            "bias", {out},
            bias_start(options.bias_start, options.kernel * options.kernel * in / options.groups));
}

std::string Conv2d::options() const {
    const Shape& filters = weight_.value.shape();
    return str(filters[3] * options_.groups, " to ", filters[0], ", ", filters[1], "x", filters[2],
               options_.stride == 1 ? "" : str(", stride ", options_.stride),
               options_.padding == 0 ? "" : str(", padding ", options_.padding),
               options_.dilation == 1 ? "" : str(", dilation ", options_.dilation),
               options_.groups == 1 ? "" : str(", groups ", options_.groups), bias_ ? "" : ", no bias");
}

ConvOptions Conv2d::geometry() const {
    const int64_t p = options_.padding;
    return {.stride_h = options_.stride,
            .stride_w = options_.stride,
            .dilation_h = options_.dilation,
            .dilation_w = options_.dilation,
            .pad_top = p,
            .pad_bottom = p,
            .pad_left = p,
            .pad_right = p,
            .groups = options_.groups};
}

Tensor Conv2d::forward(const Tensor& x, const Pass&) {
    Tensor y = conv2d(x, weight_.value, geometry());
    return bias_ ? y + bias_->value : y;
}

Tensor Conv2d::relu_pool(const Tensor& x) const {
    if (bias_ == nullptr) throw OptionsError("conv2d", "expected a convolution with a bias in relu_pool()");
    return conv2d_relu_pool(x, weight_.value, bias_->value, geometry());
}

MaxPool2d::MaxPool2d(int64_t size, int64_t stride, int64_t padding)
    : options_(window("max_pool2d", size, stride, padding)) {}

std::string MaxPool2d::options() const {
    return window_text(options_);
}

Tensor MaxPool2d::forward(const Tensor& x, const Pass&) {
    return max_pool2d(x, options_);
}

AveragePool2d::AveragePool2d(int64_t size, int64_t stride, int64_t padding)
    : options_(window("average_pool2d", size, stride, padding)) {}

std::string AveragePool2d::options() const {
    return window_text(options_);
}

Tensor AveragePool2d::forward(const Tensor& x, const Pass&) {
    return average_pool2d(x, options_);
}

Tensor GlobalAveragePool::forward(const Tensor& x, const Pass&) {
    return global_average_pool2d(x);
}

Tensor Flatten::forward(const Tensor& x, const Pass&) {
    return flatten(x);
}

Relu::Relu() : Function("ReLU", relu) {}
Relu6::Relu6() : Function("ReLU6", relu6) {}
Gelu::Gelu() : Function("GELU", gelu) {}
Sigmoid::Sigmoid() : Function("Sigmoid", sigmoid) {}
Tanh::Tanh() : Function("Tanh", static_cast<Tensor (*)(const Tensor&)>(tanh)) {}

Tensor Sequential::forward(const Tensor& x, const Pass& pass) {
    Tensor y = x;
    for (Module* step : steps_) y = (*step)(y, pass);
    return y;
}

Tensor Residual::forward(const Tensor& x, const Pass& pass) {
    return x + Sequential::forward(x, pass);
}

}  // namespace microtome
