#include "nn/models/vit_small.hpp"

#include "autograd/ops/arithmetic.hpp"
#include "autograd/ops/image.hpp"
#include "autograd/ops/shaping.hpp"

#include <algorithm>
#include <cmath>

namespace microtome {

Tensor resize_positions(const Tensor& positions, int64_t rows, int64_t columns) {
    const int64_t tokens = positions.rank() == 3 && positions.size(0) == 1 ? positions.size(1) - 1 : 0;
    const auto side =
        static_cast<int64_t>(std::lround(std::sqrt(static_cast<double>(std::max<int64_t>(tokens, 0)))));
    if (tokens < 1 || side * side != tokens)
        throw ShapeError("resize_positions",
                         str("expected positions (1,1+T,D) of a square grid of T, got ", positions.shape()));
    const int64_t d = positions.size(2);
    Tensor grid = reshape(slice(positions, 1, 1, tokens + 1), Shape{1, side, side, d});
    grid = reshape(resize_bicubic(grid, rows, columns, Antialias::yes), Shape{1, rows * columns, d});
    return concat({slice(positions, 1, 0, 1), grid}, 1);
}

Vit::Vit(const VitOptions& options)
    : preprocess_(add<Preprocess>("preprocess", options.image)),
      patch_embed_(add<PatchEmbed>("patch_embed", options.image.height, options.image.width,
                                   options.image.channels, options.patch, options.dimension)),
      cls_token_(add_weight("cls_token", {1, 1, options.dimension}, truncated_normal(0.02))),
      pos_embed_(
          add_weight("pos_embed", {1, patch_embed_.tokens() + 1, options.dimension}, truncated_normal(0.02))),
      blocks_(add<Sequential>("blocks")),
      norm_(add<LayerNorm>("norm", options.dimension, 1e-6)),
      head_(add<Linear>("head", options.dimension, options.classes,
                        LinearOptions{.weight_start = truncated_normal(0.02), .bias_start = zeros()})) {
    if (options.depth < 0)
        throw OptionsError("vit", str("expected a depth of 0 or more, got ", options.depth));
    for (int64_t i = 0; i < options.depth; ++i) {
        const double share =
            options.depth > 1 ? static_cast<double>(i) / static_cast<double>(options.depth - 1) : 0;
        blocks_.then<TransformerBlock>(options.dimension, options.heads, options.drop_path * share);
    }
}

Tensor Vit::forward(const Tensor& x, const Pass& pass) {
    Tensor patches = patch_embed_(preprocess_(x, pass), pass);  // (N, T, D)
    const int64_t n = patches.size(0), d = patches.size(2);
    Tensor tokens = concat({broadcast_to(cls_token_.value, Shape{n, 1, d}), patches}, 1) + pos_embed_.value;
    tokens = norm_(blocks_(tokens, pass), pass);
    return head_(reshape(slice(tokens, 1, 0, 1), Shape{n, d}), pass);
}

}  // namespace microtome
