#include "apps/train_settings.hpp"

#include "apps/precision.hpp"
#include "base/error.hpp"
#include "base/suggest.hpp"

#include <algorithm>

namespace microtome::apps {

const std::vector<Setting>& train_settings() {
    static const std::vector<Setting> settings{
        {"data", "", "labelled images: a folder, manifest.csv, .npz, ...; the built-in tissue if not said"},
        {"arch", "cnn", "architecture: cnn, resnet-small, resnet18, vit-ti16, ..."},
        {"numbers", "", "of the architecture: channels=16,bn_momentum=0.9"},
        {"size", "0", "pixels a side that the model looks at; 0: the architecture's own"},
        {"epochs", "32", "times that every training image is seen"},
        {"batch", "32", "images in a step"},
        {"lr", "0.001", "learning rate at its highest"},
        {"optimizer", "adam", "adam, adam-keras, adamw or sgd"},
        {"weight-decay", "0", "share of each weight per unit of learning rate"},
        {"momentum", "0.9", "of sgd"},
        {"schedule", "cosine", "of the learning rate: cosine, plateau or constant"},
        {"warm-up", "1", "epochs in which a cosine schedule rises"},
        {"early-stopping", "0", "epochs without a better validation loss that end the run; 0: none do"},
        {"augment", kUsualAugmentation,
         "what may happen to a training image: flips, right-angles, rotation=DEGREES, shift=, zoom=, shear=, "
         "crop=PIXELS, brightness=, channel-shift=; or none"},
        {"split", "natural", "own, grouped or random; natural: the first of these that the data allow"},
        {"shares", "0.8,0.1,0.1", "of training, validation and test images"},
        {"init", "",
         "begin with weights of this architecture: a model file, or safetensors, .pth or .npz from "
         "elsewhere"},
        {"range", "",
         "what black and white become before the layers: 0,1, or 0,255 or -1,1; 0,1 if not said"},
        {"normalize", "",
         "what follows: imagenet, none, or MEAN,MEAN,MEAN/DEVIATION,DEVIATION,DEVIATION; none if not said"},
        {"freeze", "", "weights and buffers that stay as they are: names or patterns, apart by commas"},
        {"lr-of", "",
         "learning rates of some weights, as factors: fc=10,layer1=0.1; the first that covers one"},
        {"class-weights", "",
         "how much an image's loss counts, by its class: balanced, or a number for each; all alike if not "
         "said"},
        {"sampling", "natural", "natural: each image once an epoch; balanced: each class equally often"},
        {"per-class", "100", "images of each class of the built-in tissue, where no data are given"},
        {"precision", "f32", kPrecisionAbout},
        {"seed", "0", "of initial weights, split, order, augmentation and dropout"}};
    return settings;
}

Recipe train_recipe(const RunSettings& settings) {
    Recipe recipe;
    recipe.epochs = settings.whole("epochs");
    recipe.batch = settings.whole("batch");
    recipe.optimizer = settings.text("optimizer");
    recipe.lr = settings.real("lr");
    recipe.weight_decay = settings.real("weight-decay");
    recipe.momentum = settings.real("momentum");
    recipe.schedule = settings.text("schedule");
    recipe.warm_up = recipe.epochs > 1 ? std::min(settings.whole("warm-up"), recipe.epochs - 1) : 0;
    recipe.early_stopping = settings.whole("early-stopping");
    recipe.augmentation = augmentation_of(settings.command(), settings.text("augment"));
    recipe.freeze = settings.list("freeze");
    for (const std::string& text : settings.list("lr-of")) recipe.lr_of.push_back(lr_group(text));
    recipe.class_weights = settings.text("class-weights");
    const std::string& sampling = settings.text("sampling");
    if (sampling != "natural" && sampling != "balanced")
        throw OptionsError(settings.command(),
                           str("expected --sampling natural or balanced, got '", sampling, "'"));
    recipe.balanced = sampling == "balanced";
    recipe.seed = settings.seed();
    return recipe;
}

Augmentation augmentation_of(const std::string& command, const std::string& text) {
    Augmentation result;
    if (text == "none") return result;
    static const std::vector<std::string> known{"flips", "right-angles", "rotation",   "shift",        "zoom",
                                                "shear", "crop",         "brightness", "channel-shift"};
    for (const std::string& part : split_at_commas(text)) {
        const auto named = name_and_number(command, "augment", part);
        const std::string& name = named.first;
        const double amount = named.second;
        const bool is_switch = name == "flips" || name == "right-angles";
        if (std::find(known.begin(), known.end(), name) == known.end()) {
            const std::string meant = closest_name(name, known);
            std::string names;
            for (const std::string& one : known) names += (names.empty() ? "" : ", ") + one;
            throw OptionsError(
                command, str("expected a change to images for --augment, got '", name, "'"),
                meant.empty() ? "there is " + names + ", or none" : str("did you mean ", meant, "?"));
        }
        if (is_switch == (part.find('=') != std::string::npos))
            throw OptionsError(command, str("expected ", name, is_switch ? " without a number" : "=NUMBER",
                                            " for --augment, got '", part, "'"));
        if (name == "flips") result.flip_horizontal = result.flip_vertical = true;
        if (name == "right-angles") result.right_angles = true;
        if (name == "rotation") result.rotation = amount;
        if (name == "shift") result.shift = amount;
        if (name == "zoom") result.zoom = amount;
        if (name == "shear") result.shear = amount;
        if (name == "crop") result.crop_padding = static_cast<int64_t>(amount);
        if (name == "brightness") result.brightness = amount;
        if (name == "channel-shift") result.channel_shift = amount;
    }
    require_augmentation(result);
    return result;
}

}  // namespace microtome::apps
