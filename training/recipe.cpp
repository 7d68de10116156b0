#include "training/recipe.hpp"

#include "base/error.hpp"
#include "training/early_stopping.hpp"
#include "training/reduce_lr_on_plateau.hpp"

#include <algorithm>
#include <charconv>

namespace microtome {
namespace {

std::string augmentation_text(const Augmentation& a) {
    std::string text;
    auto add = [&](bool is_on, const std::string& what) {
        if (is_on) text += (text.empty() ? "" : ", ") + what;
    };
    add(a.flip_horizontal, "horizontal flips");
    add(a.flip_vertical, "vertical flips");
    add(a.right_angles, "right angles");
    add(a.crop_padding > 0, str("crop padding ", a.crop_padding));
    add(a.rotation > 0, str("rotation ", a.rotation));
    add(a.shear > 0, str("shear ", a.shear));
    add(a.zoom > 0, str("zoom ", a.zoom));
    add(a.shift > 0, str("shift ", a.shift));
    add(a.brightness > 0, str("brightness ", a.brightness));
    add(a.channel_shift > 0, str("channel shift ", a.channel_shift));
    return text.empty() ? "none" : text;
}

}  // namespace

std::vector<std::string> recipe_optimizers() {
    return {"adam", "adam-keras", "adamw", "sgd"};
}
std::vector<std::string> recipe_schedules() {
    return {"constant", "cosine", "plateau"};
}

ParameterGroup lr_group(const std::string& text) {
    const std::size_t equals = text.rfind('=');
    ParameterGroup group{.pattern = text.substr(0, equals)};
    const char *begin = equals == std::string::npos ? nullptr : text.data() + equals + 1,
               *end = text.data() + text.size();
    if (!begin || group.pattern.empty() || std::from_chars(begin, end, group.lr_factor).ptr != end ||
        begin == end)
        throw OptionsError("training", str("expected PATTERN=FACTOR for a learning rate, got '", text, "'"),
                           "head=10 makes the weights of head learn ten times as fast");
    return group;
}

void freeze(Module& model, const Recipe& recipe) {
    for (const std::string& pattern : recipe.freeze) model.freeze(pattern);
}

std::unique_ptr<Optimizer> make_optimizer(const Module& model, const Recipe& recipe) {
    if (recipe.optimizer == "sgd")
        return std::make_unique<Sgd>(
            model,
            SgdOptions{.lr = recipe.lr, .momentum = recipe.momentum, .weight_decay = recipe.weight_decay},
            recipe.lr_of);
    AdamOptions options;
    if (recipe.optimizer == "adam-keras") options = AdamOptions::keras();
    options.lr = recipe.lr;
    options.weight_decay = recipe.weight_decay;
    if (recipe.optimizer == "adam" || recipe.optimizer == "adam-keras")
        return std::make_unique<Adam>(model, options, recipe.lr_of);
    if (recipe.optimizer == "adamw") return std::make_unique<AdamW>(model, options, recipe.lr_of);
    throw OptionsError("training", str("expected an optimizer adam, adam-keras, adamw or sgd, got '",
                                       recipe.optimizer, "'"));
}

void apply(const Recipe& recipe, int64_t batches, TrainerOptions& options) {
    options.epochs = recipe.epochs;
    options.seed = recipe.seed;
    if (recipe.schedule == "cosine") {
        options.schedule = cosine_schedule({.lr = recipe.lr,
                                            .steps = std::max<int64_t>(1, recipe.epochs * batches),
                                            .warm_up = recipe.warm_up * batches});
    } else if (recipe.schedule != "constant" && recipe.schedule != "plateau") {
        throw OptionsError(
            "training", str("expected a schedule constant, cosine or plateau, got '", recipe.schedule, "'"));
    }
    for (const auto& [name, value] : description_of(recipe)) options.config.emplace(name, value);
}

void add_callbacks(const Recipe& recipe, Trainer& trainer) {
    if (recipe.schedule == "plateau")
        trainer.add<ReduceLrOnPlateau>(PlateauOptions{.factor = recipe.plateau_factor,
                                                      .patience = recipe.plateau_patience,
                                                      .min_delta = recipe.plateau_min_delta});
    if (recipe.early_stopping > 0)
        trainer.add<EarlyStopping>(
            EarlyStoppingOptions{.patience = recipe.early_stopping, .restore_best = recipe.restore_best});
}

std::map<std::string, std::string> description_of(const Recipe& recipe) {
    std::map<std::string, std::string> result{{"epochs", str(recipe.epochs)},
                                              {"batch", str(recipe.batch)},
                                              {"optimizer", recipe.optimizer},
                                              {"lr", str(recipe.lr)},
                                              {"weight_decay", str(recipe.weight_decay)},
                                              {"schedule", recipe.schedule},
                                              {"augmentation", augmentation_text(recipe.augmentation)},
                                              {"seed", str(recipe.seed)}};
    if (recipe.optimizer == "sgd") result["momentum"] = str(recipe.momentum);
    if (recipe.warm_up > 0) result["warm_up"] = str(recipe.warm_up);
    if (recipe.schedule == "plateau")
        result["schedule"] = str("plateau, factor ", recipe.plateau_factor, ", patience ",
                                 recipe.plateau_patience, ", min_delta ", recipe.plateau_min_delta);
    if (recipe.early_stopping > 0) result["early_stopping"] = str(recipe.early_stopping);
    auto append = [&](const char* name, const std::string& what) {
        std::string& text = result[name];
        text += (text.empty() ? "" : ", ") + what;
    };
    for (const std::string& pattern : recipe.freeze) append("frozen", pattern);
    for (const ParameterGroup& group : recipe.lr_of)
        append("lr_of", str(group.pattern, " times ", group.lr_factor));
    if (!recipe.class_weights.empty()) result["class_weights"] = recipe.class_weights;
    if (recipe.balanced) result["sampling"] = "balanced";
    return result;
}

}  // namespace microtome
