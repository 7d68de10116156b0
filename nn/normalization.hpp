// Layers that centre and scale activations.
#pragma once

#include "nn/module.hpp"

namespace microtome {

// The two conventions in use; a model trained under one is wrong under the other.
struct BatchNormOptions {
    double eps = 1e-5;
    double new_weight = 0.1;        // running = (1 - new_weight) running + new_weight batch
    bool unbiased_variance = true;  // for the running variance, n - 1 instead of n
};
inline constexpr BatchNormOptions kPytorchBatchNorm{};
// Keras says momentum 0.99 for what here is a new_weight of 0.01.
inline constexpr BatchNormOptions kKerasBatchNorm{1e-3, 0.01, false};

// y = (x - mean) / sqrt(variance + eps) * weight + bias, channel by channel (the last axis): Ioffe and
// Szegedy 2015, algorithm 1. In train mode with the batch's own biased statistics, recording them in the
// buffers running_mean and running_var; in eval mode, and whenever a buffer is frozen, with those.
class BatchNorm : public Module {
  public:
    explicit BatchNorm(int64_t channels, const BatchNormOptions& options = kPytorchBatchNorm);
    std::string_view kind() const override { return "BatchNorm2d"; }
    std::string options() const override;

  private:
    Tensor forward(const Tensor& x, const Pass& pass) override;
    BatchNormOptions options_;
    Parameter &weight_, &bias_, &running_mean_, &running_variance_;
};

// The same over the last axis, element by element scaled: Ba, Kiros and Hinton 2016. Alike in both modes.
class LayerNorm : public Module {
  public:
    explicit LayerNorm(int64_t size, double eps = 1e-5);
    std::string_view kind() const override { return "LayerNorm"; }
    std::string options() const override;

  private:
    Tensor forward(const Tensor& x, const Pass& pass) override;
    double eps_;
    Parameter &weight_, &bias_;
};

}  // namespace microtome
