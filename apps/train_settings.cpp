#include "apps/train_settings.hpp"

#include "apps/train.hpp"
#include "base/atomic_file.hpp"
#include "base/error.hpp"
#include "base/suggest.hpp"

#include <charconv>
#include <nlohmann/json.hpp>

namespace microtome::apps {
namespace {

constexpr std::size_t kMaxConfigBytes = 1 << 20;

std::string known_names() {
    std::string text;
    for (const TrainSetting& setting : train_settings()) text += (text.empty() ? "" : ", ") + setting.name;
    return text;
}

template <class Number>
Number parse(const std::string& what, const std::string& text, const char* kind) {
    Number value{};
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size())
        throw OptionsError("train", str("expected ", kind, " for --", what, ", got '", text, "'"));
    return value;
}

std::vector<std::string> split_at_commas(const std::string& text) {
    std::vector<std::string> parts;
    std::istringstream stream(text);
    for (std::string part; std::getline(stream, part, ',');)
        if (!part.empty()) parts.push_back(part);
    return parts;
}

// "zoom=0.1" as a name and its number; a name alone has the number 1.
std::pair<std::string, double> name_and_number(const std::string& what, const std::string& text) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos) return {text, 1};
    return {text.substr(0, equals), parse<double>(what, text.substr(equals + 1), "a number")};
}

}  // namespace

const std::vector<TrainSetting>& train_settings() {
    static const std::vector<TrainSetting> settings{
        {"data", "", "labelled images: a folder, manifest.csv, .npz, ...; the built-in tissue if not said"},
        {"arch", "cnn", "architecture: cnn, mlp, resnet-small, vit-small"},
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
        {"augment", "flips,right-angles,brightness=0.1",
         "what may happen to a training image: flips, right-angles, rotation=DEGREES, shift=, zoom=, shear=, "
         "crop=PIXELS, brightness=, channel-shift=; or none"},
        {"split", "natural", "own, grouped or random; natural: the first of these that the data allow"},
        {"shares", "0.8,0.1,0.1", "of training, validation and test images"},
        {"init", "", "begin with the weights of this model file"},
        {"freeze", "", "weights and buffers that stay as they are: names or patterns, apart by commas"},
        {"per-class", "100", "images of each class of the built-in tissue, where no data are given"},
        {"seed", "0", "of initial weights, split, order, augmentation and dropout"}};
    return settings;
}

TrainSettings TrainSettings::resolve(const std::map<std::string, std::string>& given,
                                     const std::string& folder, bool resume) {
    TrainSettings result;
    for (const TrainSetting& setting : train_settings()) result.values_[setting.name] = setting.standard;
    for (const auto& [name, value] : given)
        if (!result.values_.contains(name))
            throw OptionsError("train", str("expected a setting, got ", name), "there is " + known_names());
    if (!resume) {
        for (const auto& [name, value] : given) result.values_[name] = value;
        return result;
    }
    const std::string path = folder + "/config.json";
    try {
        const nlohmann::json json = nlohmann::json::parse(read_file(path, kMaxConfigBytes));
        for (const auto& [name, value] : json.at("settings").get<std::map<std::string, std::string>>())
            result.values_[name] = value;
    } catch (const MissingFileError&) {
        throw MissingFileError(path, "no run to go on with", "leave out --resume to begin one");
    } catch (const nlohmann::json::exception& error) {
        throw FormatError(path, str("expected the settings of a run, got ", error.what()));
    }
    for (const auto& [name, value] : given)
        if (result.values_.at(name) != value)
            throw OptionsError(
                path,
                str("expected --", name, " as the run began with, '", result.values_.at(name), "', got '",
                    value, "'"),
                "--resume goes on with the settings of the run; for others begin anew elsewhere");
    return result;
}

int64_t TrainSettings::whole(const std::string& name) const {
    return parse<int64_t>(name, text(name), "a whole number");
}

double TrainSettings::real(const std::string& name) const {
    return parse<double>(name, text(name), "a number");
}

std::vector<std::string> TrainSettings::list(const std::string& name) const {
    return split_at_commas(text(name));
}

std::map<std::string, double> TrainSettings::numbers(const std::string& name) const {
    std::map<std::string, double> result;
    for (const std::string& part : list(name)) {
        if (part.find('=') == std::string::npos)
            throw OptionsError("train", str("expected NAME=NUMBER for --", name, ", got '", part, "'"));
        result.insert(name_and_number(name, part));
    }
    return result;
}

Recipe TrainSettings::recipe() const {
    const int64_t seed = whole("seed");
    if (seed < 0) throw OptionsError("train", str("expected --seed of 0 or more, got ", seed));
    Recipe recipe;
    recipe.epochs = whole("epochs");
    recipe.batch = whole("batch");
    recipe.optimizer = text("optimizer");
    recipe.lr = real("lr");
    recipe.weight_decay = real("weight-decay");
    recipe.momentum = real("momentum");
    recipe.schedule = text("schedule");
    recipe.warm_up = recipe.epochs > 1 ? std::min(whole("warm-up"), recipe.epochs - 1) : 0;
    recipe.early_stopping = whole("early-stopping");
    recipe.augmentation = augmentation_of(text("augment"));
    recipe.seed = static_cast<uint64_t>(seed);
    return recipe;
}

Augmentation augmentation_of(const std::string& text) {
    Augmentation result;
    if (text == "none") return result;
    static const std::vector<std::string> known{"flips", "right-angles", "rotation",   "shift",        "zoom",
                                                "shear", "crop",         "brightness", "channel-shift"};
    for (const std::string& part : split_at_commas(text)) {
        const auto named = name_and_number("augment", part);
        const std::string& name = named.first;
        const double amount = named.second;
        const bool is_switch = name == "flips" || name == "right-angles";
        if (std::find(known.begin(), known.end(), name) == known.end()) {
            const std::string meant = closest_name(name, known);
            std::string names;
            for (const std::string& one : known) names += (names.empty() ? "" : ", ") + one;
            throw OptionsError(
                "train", str("expected a change to images for --augment, got '", name, "'"),
                meant.empty() ? "there is " + names + ", or none" : str("did you mean ", meant, "?"));
        }
        if (is_switch == (part.find('=') != std::string::npos))
            throw OptionsError("train", str("expected ", name, is_switch ? " without a number" : "=NUMBER",
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
