#include "nn/models/registry.hpp"

#include "base/suggest.hpp"
#include "nn/models/cnn.hpp"
#include "nn/models/densenet.hpp"
#include "nn/models/mlp.hpp"
#include "nn/models/mobilenet.hpp"
#include "nn/models/resnet.hpp"
#include "nn/models/resnet_small.hpp"
#include "nn/models/vgg.hpp"
#include "nn/models/vit_small.hpp"

#include <algorithm>
#include <cmath>
#include <functional>

namespace microtome {
namespace {

// A number an architecture can be told. Bounds keep a forged file from asking for a billion layers.
struct Number {
    std::string_view name;
    double standard, low, high;
    bool whole = true;
};

struct Architecture {
    std::string_view name;
    int64_t height, width;
    std::vector<Number> numbers;
    std::function<std::unique_ptr<Module>(const ModelOptions& complete)> make;
};

int64_t whole(const ModelOptions& options, const char* name) {
    return static_cast<int64_t>(options.numbers.at(name));
}

std::string did_you_mean(std::string_view wrong, const std::vector<std::string>& known) {
    const std::string closest = closest_name(wrong, known);
    if (!closest.empty()) return str("did you mean ", closest, "?");
    std::string list;
    for (const std::string& name : known) list += str(list.empty() ? "" : ", ", name);
    return str("there is ", list);
}

Architecture resnet(std::string_view name, ResidualBlock block, const std::array<int64_t, 4>& depths) {
    return {name, 224, 224, {{"width", 64, 1, 4096}}, [=](const ModelOptions& o) {
                return std::make_unique<Resnet>(ResnetOptions{.classes = o.classes,
                                                              .image = o.image,
                                                              .block = block,
                                                              .depths = depths,
                                                              .width = whole(o, "width")});
            }};
}

Architecture vit(std::string_view name, int64_t patch, int64_t dimension, int64_t depth, int64_t heads) {
    return {name, 224, 224, {{"drop_path", 0, 0, 0.99, false}}, [=](const ModelOptions& o) {
                return std::make_unique<Vit>(VitOptions{.classes = o.classes,
                                                        .image = o.image,
                                                        .patch = patch,
                                                        .dimension = dimension,
                                                        .depth = depth,
                                                        .heads = heads,
                                                        .drop_path = o.numbers.at("drop_path")});
            }};
}

const std::vector<Architecture>& table() {
    using enum ResidualBlock;
    static const std::vector<Architecture> architectures{
        {"cnn",
         180,
         180,
         {{"channels", 32, 1, 4096}, {"bn_momentum", 0.99, 0, 1, false}},
         [](const ModelOptions& o) {
             return std::make_unique<Cnn>(CnnOptions{.classes = o.classes,
                                                     .image = o.image,
                                                     .channels = whole(o, "channels"),
                                                     .bn_momentum = o.numbers.at("bn_momentum")});
         }},
        {"mlp",
         28,
         28,
         {{"width", 128, 1, 65536}, {"depth", 1, 0, 100}},
         [](const ModelOptions& o) {
             return std::make_unique<Mlp>(MlpOptions{.classes = o.classes,
                                                     .image = o.image,
                                                     .width = whole(o, "width"),
                                                     .depth = whole(o, "depth")});
         }},
        {"resnet-small",
         32,
         32,
         {{"channels", 16, 1, 4096}, {"blocks", 1, 1, 100}},
         [](const ModelOptions& o) {
             return std::make_unique<ResnetSmall>(ResnetSmallOptions{.classes = o.classes,
                                                                     .image = o.image,
                                                                     .channels = whole(o, "channels"),
                                                                     .blocks = whole(o, "blocks")});
         }},
        {"vit-small",
         32,
         32,
         {{"patch", 4, 1, 1024},
          {"dimension", 64, 1, 65536},
          {"depth", 4, 0, 100},
          {"heads", 4, 1, 1024},
          {"drop_path", 0, 0, 0.99, false}},
         [](const ModelOptions& o) {
             return std::make_unique<Vit>(VitOptions{.classes = o.classes,
                                                     .image = o.image,
                                                     .patch = whole(o, "patch"),
                                                     .dimension = whole(o, "dimension"),
                                                     .depth = whole(o, "depth"),
                                                     .heads = whole(o, "heads"),
                                                     .drop_path = o.numbers.at("drop_path")});
         }},
        // He, Zhang, Ren and Sun 2016, table 1.
        resnet("resnet18", basic, {2, 2, 2, 2}),
        resnet("resnet34", basic, {3, 4, 6, 3}),
        resnet("resnet50", bottleneck, {3, 4, 6, 3}),
        resnet("resnet101", bottleneck, {3, 4, 23, 3}),
        resnet("resnet152", bottleneck, {3, 8, 36, 3}),
        // Dosovitskiy et al. 2021, table 1; Ti and S are those of Touvron et al. 2021.
        vit("vit-ti16", 16, 192, 12, 3),
        vit("vit-s16", 16, 384, 12, 6),
        vit("vit-b16", 16, 768, 12, 12),
        vit("vit-l16", 16, 1024, 24, 16),
        vit("vit-ti32", 32, 192, 12, 3),
        vit("vit-s32", 32, 384, 12, 6),
        vit("vit-b32", 32, 768, 12, 12),
        vit("vit-l32", 32, 1024, 24, 16),
        {"vgg16",
         224,
         224,
         {{"hidden", 4096, 1, 65536}, {"dropout", 0.5, 0, 0.99, false}},
         [](const ModelOptions& o) {
             return std::make_unique<Vgg16>(VggOptions{.classes = o.classes,
                                                       .image = o.image,
                                                       .hidden = whole(o, "hidden"),
                                                       .dropout = o.numbers.at("dropout")});
         }},
        {"densenet121",
         224,
         224,
         {{"growth", 32, 1, 4096}},
         [](const ModelOptions& o) {
             return std::make_unique<Densenet>(
                 DensenetOptions{.classes = o.classes, .image = o.image, .growth = whole(o, "growth")});
         }},
        {"mobilenetv2",
         224,
         224,
         {{"width", 1, 0.01, 64, false}, {"dropout", 0.2, 0, 0.99, false}},
         [](const ModelOptions& o) {
             return std::make_unique<MobilenetV2>(MobilenetOptions{.classes = o.classes,
                                                                   .image = o.image,
                                                                   .width = o.numbers.at("width"),
                                                                   .dropout = o.numbers.at("dropout")});
         }},
    };
    return architectures;
}

const Architecture& find(std::string_view name) {
    for (const Architecture& architecture : table())
        if (architecture.name == name) return architecture;
    throw OptionsError("model", str("expected an architecture, got ", name),
                       did_you_mean(name, architectures()));
}

}  // namespace

std::vector<std::string> architectures() {
    std::vector<std::string> names;
    for (const Architecture& architecture : table()) names.emplace_back(architecture.name);
    return names;
}

ModelOptions complete_options(std::string_view name, const ModelOptions& options) {
    const Architecture& architecture = find(name);
    ModelOptions result = options;
    if (result.image.height == 0) result.image.height = architecture.height;
    if (result.image.width == 0) result.image.width = architecture.width;
    // Sizes come from files too: what is larger is no image and no class list.
    constexpr int64_t kLargest = 1 << 16;
    for (auto [what, size] : {std::pair{"classes", result.classes},
                              {"height", result.image.height},
                              {"width", result.image.width},
                              {"channels", result.image.channels}})
        if (size < 1 || size > kLargest)
            throw OptionsError(name, str("expected ", what, " from 1 to ", kLargest, ", got ", size));

    std::vector<std::string> known;
    for (const Number& number : architecture.numbers) {
        known.emplace_back(number.name);
        const double value = result.numbers.emplace(number.name, number.standard).first->second;
        if (!(value >= number.low && value <= number.high) || (number.whole && value != std::floor(value)))
            throw OptionsError(name, str("expected ", number.name, " from ", number.low, " to ", number.high,
                                         ", got ", value));
    }
    for (const auto& [given, value] : result.numbers)
        if (std::find(known.begin(), known.end(), given) == known.end())
            throw OptionsError(name, str("expected a number it knows, got ", given),
                               did_you_mean(given, known));
    return result;
}

std::unique_ptr<Module> make_model(std::string_view name, const ModelOptions& options) {
    return find(name).make(complete_options(name, options));
}

}  // namespace microtome
