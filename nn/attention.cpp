#include "nn/attention.hpp"

#include "autograd/ops/arithmetic.hpp"
#include "autograd/ops/linear.hpp"
#include "autograd/ops/shaping.hpp"
#include "autograd/ops/softmax.hpp"

#include <cmath>

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
    const int64_t n = x.size(0), t = x.size(1), d = x.size(2) / heads_;
    // (N, T, 3 D) to (3, N, heads, T, d), and apart.
    Tensor packed = permute(reshape(qkv_(x, pass), Shape{n, t, 3, heads_, d}), {2, 0, 3, 1, 4});
    const Shape one{n, heads_, t, d};
    Tensor q = reshape(slice(packed, 0, 0, 1), one);
    Tensor k = reshape(slice(packed, 0, 1, 2), one);
    Tensor v = reshape(slice(packed, 0, 2, 3), one);
    Tensor weights =
        softmax(matmul(q, k, Transpose::no, Transpose::yes) * (1 / std::sqrt(static_cast<double>(d))));
    Tensor y = permute(matmul(weights, v), {0, 2, 1, 3});  // (N, T, heads, d)
    return proj_(reshape(y, Shape{n, t, heads_ * d}), pass);
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
