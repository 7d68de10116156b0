// The parts of a vision transformer (Dosovitskiy et al. 2021), under timm's names. Tokens are (N, T, D).
#pragma once

#include "nn/dropout.hpp"
#include "nn/layers.hpp"
#include "nn/normalization.hpp"

namespace microtome {

// Images (N, H, W, C) to one token per patch x patch pixels, row by row: a convolution whose stride is its
// size. Names: proj.weight, proj.bias. Throws OptionsError where patches do not fill the image.
class PatchEmbed : public Module {
  public:
    PatchEmbed(int64_t height, int64_t width, int64_t channels, int64_t patch, int64_t dimension);
    std::string_view kind() const override { return "PatchEmbed"; }
    int64_t tokens() const { return tokens_; }

  private:
    Tensor forward(const Tensor& x, const Pass& pass) override;
    int64_t tokens_;
    Conv2d& proj_;
};

// Multi-head self-attention, Vaswani et al. 2017, section 3.2: softmax(q k^T / sqrt(D / heads)) v in each
// head. qkv.weight is packed (3 D, D): queries, keys, values, each head after head.
class Attention : public Module {
  public:
    Attention(int64_t dimension, int64_t heads);
    std::string_view kind() const override { return "Attention"; }
    std::string options() const override;
    int64_t heads() const { return heads_; }

  private:
    Tensor forward(const Tensor& x, const Pass& pass) override;
    int64_t heads_;
    Linear &qkv_, &proj_;
};

// Token by token through a hidden layer with GELU: fc1, fc2.
class FeedForward : public Module {
  public:
    FeedForward(int64_t dimension, int64_t hidden);
    std::string_view kind() const override { return "Mlp"; }

  private:
    Tensor forward(const Tensor& x, const Pass& pass) override;
    Linear& fc1_;
    Module& act_;
    Linear& fc2_;
};

// x + attn(norm1(x)), then x + mlp(norm2(x)), each branch behind a drop path. The hidden layer is 4 D wide.
class TransformerBlock : public Module {
  public:
    TransformerBlock(int64_t dimension, int64_t heads, double drop_path);
    std::string_view kind() const override { return "Block"; }

  private:
    Tensor forward(const Tensor& x, const Pass& pass) override;
    LayerNorm& norm1_;
    Attention& attn_;
    DropPath& drop_path1_;
    LayerNorm& norm2_;
    FeedForward& mlp_;
    DropPath& drop_path2_;
};

}  // namespace microtome
