// Architectures by name.
//
//     cnn            the lung and colon study's network (nn/models/cnn.hpp); channels, bn_momentum
//     mlp            flattened pixels through hidden layers with ReLU; width, depth
//     resnet-small   three stages of residual blocks with batch norm; channels, blocks
//     vit-small      a vision transformer; patch, dimension, depth, heads, drop_path
//     resnet18, resnet34, resnet50, resnet101, resnet152   (nn/models/resnet.hpp); width
//     vit-ti16, vit-s16, vit-b16, vit-l16, vit-ti32, ...   patches of 16 or 32 pixels; drop_path
//     vgg16          (nn/models/vgg.hpp); hidden, dropout
//     densenet121    (nn/models/densenet.hpp); growth
//     mobilenetv2    (nn/models/mobilenet.hpp); width, dropout
#pragma once

#include "nn/module.hpp"
#include "nn/preprocess.hpp"

#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace microtome {

struct ModelOptions {
    int64_t classes = 5;
    ImageOptions image{};                     // height and width 0: the architecture's own size
    std::map<std::string, double> numbers{};  // what else the architecture can be told, as listed above

    friend bool operator==(const ModelOptions&, const ModelOptions&) = default;
};

// A model with shapes but without numbers: initialize() or load() gives it some. Throws OptionsError for a
// name that is not in architectures(), a number the architecture does not know, or one out of its range.
std::unique_ptr<Module> make_model(std::string_view architecture, const ModelOptions& options = {});

// The options with every size and number filled in, as model files state them.
ModelOptions complete_options(std::string_view architecture, const ModelOptions& options = {});

std::vector<std::string> architectures();

}  // namespace microtome
