#include "nn/attention.hpp"

#include "autograd/ops/arithmetic.hpp"
#include "autograd/ops/attention.hpp"
#include "autograd/ops/shaping.hpp"

namespace microtome {
namespace {

LinearOptions dense() {
    return {.weight_start = truncated_normal(0.02), .bias_start = zeros()};
}

int64_t patches(int64_t size, int64_t patch) {
    if (patch < 1 || size < patch || size % patch)
        throw OptionsError("patch_embed", str("expected patches that fill the image, got ", patch, " for ",
                                              size, " pixels"));
    return size / patch;
}

}  // namespace

PatchEmbed::PatchEmbed(int64_t height, int64_t width, int64_t channels, int64_t patch, int64_t dimension)
    : tokens_(patches(height, patch) * patches(width, patch)),
      proj_(add<Conv2d>("proj", channels, dimension, Conv2dOptions{.kernel = patch, .stride = patch})) {}

Tensor PatchEmbed::forward(const Tensor& x, const Pass& pass) {
    Tensor y = proj_(x, pass);  // (N, H / patch, W / patch, D)
    return reshape(y, Shape{y.size(0), y.size(1) * y.size(2), y.size(3)});
}

Attention::Attention(int64_t dimension, int64_t heads)
    : heads_(heads),
      qkv_(add<Linear>("qkv", dimension, 3 * dimension, dense())),
      proj_(add<Linear>("proj", dimension, dimension, dense())) {
    if (heads < 1 || dimension % heads)
        throw OptionsError("attention",
                           str("expected heads that divide ", dimension, " dimensions, got ", heads));
}

std::string Attention::options() const {
    return str(heads_, " heads");
}

Tensor Attention::forward(const Tensor& x, const Pass& pass) {
    return proj_(attention(qkv_(x, pass), heads_), pass);
}

FeedForward::FeedForward(int64_t dimension, int64_t hidden)
    : fc1_(add<Linear>("fc1", dimension, hidden, dense())),
      act_(add<Gelu>("act")),
      fc2_(add<Linear>("fc2", hidden, dimension, dense())) {}

Tensor FeedForward::forward(const Tensor& x, const Pass& pass) {
    return fc2_(act_(fc1_(x, pass), pass), pass);
}

TransformerBlock::TransformerBlock(int64_t dimension, int64_t heads, double drop_path)
    : norm1_(add<LayerNorm>("norm1", dimension, 1e-6)),
      attn_(add<Attention>("attn", dimension, heads)),
      drop_path1_(add<DropPath>("drop_path1", drop_path)),
      norm2_(add<LayerNorm>("norm2", dimension, 1e-6)),
      mlp_(add<FeedForward>("mlp", dimension, 4 * dimension)),
      drop_path2_(add<DropPath>("drop_path2", drop_path)) {}

Tensor TransformerBlock::forward(const Tensor& x, const Pass& pass) {
    Tensor y = x + drop_path1_(attn_(norm1_(x, pass), pass), pass);
    return y + drop_path2_(mlp_(norm2_(y, pass), pass), pass);
}

}  // namespace microtome
