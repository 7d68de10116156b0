// The layers that classifiers are built of. Images are (N, H, W, C); options follow PyTorch unless said
// otherwise. Constructors throw OptionsError for sizes below 1 and paddings below 0.
#pragma once

#include "autograd/ops/pooling.hpp"
#include "nn/module.hpp"
#include "tensor/conv_shape.hpp"

#include <optional>

namespace microtome {

struct LinearOptions {
    bool bias = true;
    Initializer weight_start = pytorch_uniform();
    // 1 / sqrt(inputs) as in PyTorch where this is not said.
    std::optional<Initializer> bias_start{};
    // What the inputs were before Flatten: (H, W, C). Files then hold the columns in PyTorch's order (C, H,
    // W).
    Shape images{};
};

// y (..., out) = x (..., in) weight^T + bias; weight (out, in).
class Linear : public Module {
  public:
    Linear(int64_t in, int64_t out, const LinearOptions& options = {});
    std::string_view kind() const override { return "Linear"; }
    std::string options() const override;

  private:
    Tensor forward(const Tensor& x, const Pass& pass) override;
    Parameter& weight_;
    Parameter* bias_ = nullptr;
};

struct Conv2dOptions {
    int64_t kernel = 3, stride = 1, padding = 0, dilation = 1, groups = 1;
    bool bias = true;
    Initializer weight_start = pytorch_uniform();
    std::optional<Initializer> bias_start{};  // 1 / sqrt(fan_in) where this is not said
};

// y (N, OH, OW, out) from x (N, H, W, in); weight (out, kernel, kernel, in / groups).
class Conv2d : public Module {
  public:
    Conv2d(int64_t in, int64_t out, const Conv2dOptions& options = {});
    std::string_view kind() const override { return "Conv2d"; }
    std::string options() const override;

    // max_pool2d(relu((*this)(x))) over windows of 2x2 pixels as one op (conv2d_relu_pool), which is what
    // makes training fast; within rounding the same. Needs a bias.
    Tensor relu_pool(const Tensor& x) const;

  private:
    Tensor forward(const Tensor& x, const Pass& pass) override;
    ConvOptions geometry() const;
    Conv2dOptions options_;
    Parameter& weight_;
    Parameter* bias_ = nullptr;
};

// Windows of size x size pixels, stride apart; what does not fill a window is left out.
class MaxPool2d : public Module {
  public:
    explicit MaxPool2d(int64_t size, int64_t stride = 0, int64_t padding = 0);  // stride 0: the size
    std::string_view kind() const override { return "MaxPool2d"; }
    std::string options() const override;

  private:
    Tensor forward(const Tensor& x, const Pass& pass) override;
    PoolOptions options_;
};

// The mean of each window's pixels; padding does not count.
class AveragePool2d : public Module {
  public:
    explicit AveragePool2d(int64_t size, int64_t stride = 0, int64_t padding = 0);  // stride 0: the size
    std::string_view kind() const override { return "AvgPool2d"; }
    std::string options() const override;

  private:
    Tensor forward(const Tensor& x, const Pass& pass) override;
    PoolOptions options_;
};

// (N, H, W, C) to (N, C): the mean over the image.
class GlobalAveragePool : public Module {
  public:
    std::string_view kind() const override { return "GlobalAveragePool"; }

  private:
    Tensor forward(const Tensor& x, const Pass& pass) override;
};

// (N, H, W, C) to (N, H*W*C), channels fastest. PyTorch's has channels slowest: see LinearOptions::images.
class Flatten : public Module {
  public:
    std::string_view kind() const override { return "Flatten"; }

  private:
    Tensor forward(const Tensor& x, const Pass& pass) override;
};

// A function without parameters as a layer.
class Function : public Module {
  public:
    Function(std::string kind, std::function<Tensor(const Tensor&)> function)
        : kind_(std::move(kind)), function_(std::move(function)) {}
    std::string_view kind() const override { return kind_; }

  private:
    Tensor forward(const Tensor& x, const Pass&) override { return function_(x); }
    std::string kind_;
    std::function<Tensor(const Tensor&)> function_;
};

// clang-format off
class Relu    : public Function { public: Relu(); };
class Relu6   : public Function { public: Relu6(); };
class Gelu    : public Function { public: Gelu(); };
class Sigmoid : public Function { public: Sigmoid(); };
class Tanh    : public Function { public: Tanh(); };
// clang-format on

// Module after module, named "0", "1", ...:
//
//     Sequential net;
//     net.then<Conv2d>(3, 16).then<Relu>().then<Flatten>();
class Sequential : public Module {
  public:
    std::string_view kind() const override { return "Sequential"; }

    template <class M, class... Args>
    Sequential& then(Args&&... args) {
        append<M>(std::forward<Args>(args)...);
        return *this;
    }
    // The same, but returns the new module.
    template <class M, class... Args>
    M& append(Args&&... args) {
        return append_as<M>(std::to_string(steps_.size()), std::forward<Args>(args)...);
    }
    // The same under a name of its own.
    template <class M, class... Args>
    M& append_as(std::string name, Args&&... args) {
        M& module = add<M>(std::move(name), std::forward<Args>(args)...);
        steps_.push_back(&module);
        return module;
    }

  protected:
    Tensor forward(const Tensor& x, const Pass& pass) override;

  private:
    std::vector<Module*> steps_;
};

// x + what the sequence makes of x. Shapes must agree.
class Residual : public Sequential {
  public:
    std::string_view kind() const override { return "Residual"; }

  private:
    Tensor forward(const Tensor& x, const Pass& pass) override;
};

}  // namespace microtome
