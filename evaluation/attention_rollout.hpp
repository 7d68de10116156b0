// Where a vision transformer looks: its attention, multiplied through all blocks (Abnar and Zuidema 2020,
// "Quantifying attention flow in transformers", section 3).
#pragma once

#include "nn/module.hpp"

namespace microtome {

// Whether a model has attention() layers at all.
bool has_attention(const Module& model);

// For images (N, H, W, C): how much of the class token's last state flows from each patch, (N, rows,
// columns), f32; with what flows from the class token itself an image's shares sum to 1. In each block
//
//     A' = (mean over heads of softmax(q k^T / sqrt(d)) + I) / 2,    rollout = A'_last ... A'_first
//
// of which the class token's row is returned. `height` and `width` are what the model makes of images, for
// the shape of the grid. It says where information may flow, not which of it decides. The model is in eval
// mode afterwards. Throws ShapeError for a model without attention, or whose tokens are no such grid and a
// class token.
Tensor attention_rollout(Module& model, const Tensor& images, int64_t height, int64_t width);

}  // namespace microtome
