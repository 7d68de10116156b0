// A vision transformer of any size (Dosovitskiy et al. 2021), small where nothing is said: patches to tokens,
// a class token, learned positions, blocks with layer norm in front, a dense layer on the class token. Names
// are timm's.
#pragma once

#include "nn/attention.hpp"
#include "nn/preprocess.hpp"

namespace microtome {

struct VitOptions {
    int64_t classes = 5;
    ImageOptions image{.height = 32, .width = 32};
    int64_t patch = 4;
    int64_t dimension = 64, depth = 4, heads = 4;
    double drop_path = 0;  // of the last block; it grows from 0 in the first
};

// Learned positions (1, 1 + T, D) for a grid of rows x columns patches from those for another, square one:
// the class token's stays, the others are an image that is resized with the bicubic filter, antialiased, as
// timm does. Throws ShapeError unless T is a square.
Tensor resize_positions(const Tensor& positions, int64_t rows, int64_t columns);

// With patch 16, dimension 768, depth 12, heads 12 at 224 pixels: ViT-B/16, 86,567,656 parameters for 1000
// classes.
class Vit : public Module {
  public:
    explicit Vit(const VitOptions& options = {});
    std::string_view kind() const override { return "Vit"; }

  private:
    Tensor forward(const Tensor& x, const Pass& pass) override;
    Preprocess& preprocess_;
    PatchEmbed& patch_embed_;
    Parameter &cls_token_, &pos_embed_;
    Sequential& blocks_;
    LayerNorm& norm_;
    Linear& head_;
};

}  // namespace microtome
