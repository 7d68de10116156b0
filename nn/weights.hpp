// Weights from elsewhere: files that hold named arrays and say nothing of the model they belong to.
//
//     safetensors    nn/safetensors.hpp
//     .pth, .pt      PyTorch's state dicts, in the zip format that torch.save() writes since version 1.6
//                    (nn/pickle.hpp says what is read of them); the format before that is refused
//     .npz           numpy's archives, an array for each name
//
// What a file is follows from its first bytes, not from its name.
#pragma once

#include "nn/module.hpp"
#include "nn/preprocess.hpp"

#include <map>
#include <string>
#include <vector>

namespace microtome {

struct WeightsFile {
    NamedTensors tensors;                         // names and layouts as in the file
    std::map<std::string, std::string> metadata;  // of safetensors
    std::vector<std::string> notes;               // what was passed over on the way to them, for the user
};

// Throws MissingFileError, IoError, and FormatError for a file that is damaged, of another format, or has
// more in it than tensors. Of a .pth that wraps its state dict, under "state_dict", "model_state_dict" or
// "model", the rest is passed over. read_weights() refuses numbers that are not finite as well: whatever was
// said of such a model would be said of nothing.
WeightsFile read_weights(const std::string& path);
WeightsFile parse_weights(std::string_view bytes, const std::string& where);

// The weights under the names, in the types and of the sizes that the model has, as far as that is a matter
// of form:
//
//   - names lose a "module." or "_orig_mod." that all of them begin with, which wrappers of PyTorch leave;
//   - DenseNet's layers lose a dot in the middle ("norm.1.weight"), which torchvision's first files had;
//   - counts of batches, which batch norm does not need, are left out;
//   - f64 is rounded to the model's f32, f32 widened to f64;
//   - a ViT's learned positions for another image size are resized, where the model's images are `image`.
//
// What was done is added to the notes. Whether all names and shapes fit is for Module::load() to say.
void adapt_weights(WeightsFile& file, const Module& model, const ImageOptions& image);

}  // namespace microtome
