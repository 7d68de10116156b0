#include "nn/models/registry.hpp"

#include "base/suggest.hpp"
#include "nn/models/cnn.hpp"
#include "nn/models/mlp.hpp"
#include "nn/models/resnet_small.hpp"
#include "nn/models/vit_small.hpp"

#include <algorithm>
#include <cmath>

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
    std::unique_ptr<Module> (*make)(const ModelOptions& complete);
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

const std::vector<Architecture>& table() {
    static const std::vector<Architecture> architectures{
        {"cnn",
         180,
         180,
         {{"channels", 32, 1, 4096}, {"bn_momentum", 0.99, 0, 1, false}},
         [](const ModelOptions& o) -> std::unique_ptr<Module> {
             return std::make_unique<Cnn>(CnnOptions{.classes = o.classes,
                                                     .image = o.image,
                                                     .channels = whole(o, "channels"),
                                                     .bn_momentum = o.numbers.at("bn_momentum")});
         }},
        {"mlp",
         28,
         28,
         {{"width", 128, 1, 65536}, {"depth", 1, 0, 100}},
         [](const ModelOptions& o) -> std::unique_ptr<Module> {
             return std::make_unique<Mlp>(MlpOptions{.classes = o.classes,
                                                     .image = o.image,
                                                     .width = whole(o, "width"),
                                                     .depth = whole(o, "depth")});
         }},
        {"resnet-small",
         32,
         32,
         {{"channels", 16, 1, 4096}, {"blocks", 1, 1, 100}},
         [](const ModelOptions& o) -> std::unique_ptr<Module> {
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
         [](const ModelOptions& o) -> std::unique_ptr<Module> {
             return std::make_unique<Vit>(VitOptions{.classes = o.classes,
                                                     .image = o.image,
                                                     .patch = whole(o, "patch"),
                                                     .dimension = whole(o, "dimension"),
                                                     .depth = whole(o, "depth"),
                                                     .heads = whole(o, "heads"),
                                                     .drop_path = o.numbers.at("drop_path")});
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
