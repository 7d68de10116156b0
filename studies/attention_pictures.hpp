// Attention rollout as pictures for a study's page.
#pragma once

#include "nn/preprocess.hpp"
#include "report/pictures.hpp"

#include <string>
#include <vector>

namespace microtome {

inline constexpr const char* kAttentionNote =
    "Attention rollout (Abnar and Zuidema 2020): bright where much of what the class token ends with may "
    "come "
    "from, dark where little, between the least and the most of either picture of a pair. Where these are "
    "near "
    "an even share, the network looks everywhere alike, however bright and dark the pictures are. It shows "
    "where information can flow, not what decided.";

// For each strip the original and the adversarial image, each dimmed where the rollout is small: to a fifth
// of its brightness where it is least in either, not at all where it is most. The caption says how large it
// is in the picture's patches, beside an even share of 1. `size` is what the model makes of images. Nothing
// for a model without attention.
std::vector<report::Picture> attention_pictures(Module& model, const ImageOptions& size,
                                                const std::string& name,
                                                const std::vector<report::PerturbationStrip>& strips);

}  // namespace microtome
