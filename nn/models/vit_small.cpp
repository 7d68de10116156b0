#include "nn/models/vit_small.hpp"

#include "autograd/ops/arithmetic.hpp"
#include "autograd/ops/shaping.hpp"

namespace microtome {

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
