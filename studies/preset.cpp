#include "studies/preset.hpp"

#include "attacks/epsilon.hpp"
#include "attacks/universal.hpp"
#include "base/atomic_file.hpp"
#include "base/error.hpp"
#include "base/suggest.hpp"
#include "nn/ensemble.hpp"
#include "nn/models/registry.hpp"
#include "nn/transfer.hpp"
#include "studies/preset_changes.hpp"

#define TOML_EXCEPTIONS 1
#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>
#include <sstream>
#include <toml++/toml.h>

namespace microtome {
namespace {

constexpr std::size_t kMaxPresetBytes = 1 << 20;

// One table of the file. It notes which keys were asked for; done() refuses the others.
class Section {
  public:
    Section(const toml::table& table, std::string name, std::string file)
        : table_(table), name_(std::move(name)), file_(std::move(file)) {}

    void read(const std::string& key, std::string& value) {
        if (const toml::node* node = find(key)) value = text(*node, key);
    }
    void read(const std::string& key, bool& value) {
        if (const toml::node* node = find(key))
            value = require(node->value_exact<bool>(), *node, key, "true or false");
    }
    void read(const std::string& key, int64_t& value, int64_t least) {
        const toml::node* node = find(key);
        if (!node) return;
        value = require(node->value_exact<int64_t>(), *node, key, "a whole number");
        if (value < least) refuse(*node, key, str("a number of ", least, " or more"));
    }
    void read(const std::string& key, uint64_t& value) {
        int64_t number = static_cast<int64_t>(value);
        read(key, number, 0);
        value = static_cast<uint64_t>(number);
    }
    void read(const std::string& key, double& value, double least, double most) {
        const toml::node* node = find(key);
        if (!node) return;
        value = number(*node, key);
        if (!(value >= least && value <= most))
            refuse(*node, key, str("a number from ", least, " to ", most));
    }
    void read(const std::string& key, std::vector<std::string>& values) {
        const toml::node* node = find(key);
        if (!node) return;
        values.clear();
        if (node->is_string()) return values.push_back(text(*node, key));
        const toml::array* array = node->as_array();
        if (!array) refuse(*node, key, "a text or a list of texts");
        for (const toml::node& element : *array) values.push_back(text(element, key));
    }
    // "2/255" or 0.01, or a list of such.
    void read_epsilons(const std::string& key, std::vector<double>& values) {
        const toml::node* node = find(key);
        if (!node) return;
        values.clear();
        if (const toml::array* array = node->as_array()) {
            for (const toml::node& element : *array) values.push_back(epsilon(element, key));
        } else {
            values.push_back(epsilon(*node, key));
        }
    }
    void read_choice(const std::string& key, std::string& value, const std::vector<std::string>& known) {
        const toml::node* node = find(key);
        if (!node) return;
        value = text(*node, key);
        if (std::find(known.begin(), known.end(), value) != known.end()) return;
        std::string list, meant = closest_name(value, known);
        for (const std::string& name : known) list += (list.empty() ? "" : ", ") + name;
        throw OptionsError(where(*node), str("expected ", key, " to be one of ", list, "; got '", value, "'"),
                           meant.empty() ? "" : "did you mean " + meant + "?");
    }

    // A table below this one, or nothing.
    std::optional<Section> section(const std::string& key) {
        const toml::node* node = find(key);
        if (!node) return std::nullopt;
        const toml::table* table = node->as_table();
        if (!table) refuse(*node, key, str("a table, [", name_.empty() ? "" : name_ + ".", key, "]"));
        return Section(*table, name_.empty() ? key : name_ + "." + key, file_);
    }
    std::vector<Section> sections(const std::string& key) {
        std::vector<Section> result;
        const toml::node* node = find(key);
        if (!node) return result;
        const toml::array* array = node->as_array();
        if (!array || !(array->empty() || array->is_array_of_tables()))
            refuse(*node, key, str("tables, [[", key, "]]"));
        for (const toml::node& element : *array) result.emplace_back(*element.as_table(), key, file_);
        return result;
    }
    // Everything in the table as text, whatever the keys: settings that somebody else knows.
    AttackSettings settings() {
        AttackSettings result;
        for (const auto& [key, node] : table_) result.emplace_back(std::string(key.str()), plain_text(node));
        return result;
    }
    std::map<std::string, double> numbers() {
        std::map<std::string, double> result;
        for (const auto& [key, node] : table_)
            result[std::string(key.str())] = number(node, std::string(key.str()));
        return result;
    }

    // To be called when all has been read.
    void done() const {
        for (const auto& [key, node] : table_) {
            std::string name(key.str());
            if (asked_.contains(name)) continue;
            std::string meant = closest_name(name, std::vector<std::string>(asked_.begin(), asked_.end()));
            throw OptionsError(
                where(node),
                str("'", name, "' is no key of ", name_.empty() ? "a preset" : "[" + name_ + "]"),
                meant.empty() ? str("keys are ", known()) : "did you mean " + meant + "?");
        }
    }

    // What an error that arises from this table's content is about.
    std::string where() const { return where(table_); }

  private:
    const toml::node* find(const std::string& key) {
        asked_.insert(key);
        return table_.get(key);
    }
    std::string where(const toml::node& node) const { return str(file_, ":", node.source().begin.line); }
    [[noreturn]] void refuse(const toml::node& node, const std::string& key,
                             const std::string& expected) const {
        throw OptionsError(where(node),
                           str("expected ", key, " to be ", expected, ", got ", plain_text(node)));
    }
    template <class T>
    T require(std::optional<T> value, const toml::node& node, const std::string& key,
              const std::string& expected) const {
        if (!value) refuse(node, key, expected);
        return *value;
    }
    std::string text(const toml::node& node, const std::string& key) const {
        return require(node.value_exact<std::string>(), node, key, "a text in quotes");
    }
    double number(const toml::node& node, const std::string& key) const {
        if (node.is_integer()) return static_cast<double>(*node.value_exact<int64_t>());
        return require(node.value_exact<double>(), node, key, "a number");
    }
    double epsilon(const toml::node& node, const std::string& key) const {
        if (!node.is_string()) return number(node, key);
        try {
            return parse_epsilon(text(node, key));
        } catch (const OptionsError& error) {
            throw OptionsError(where(node), str(key, ": ", error.what()));
        }
    }
    static std::string plain_text(const toml::node& node) {
        if (std::optional<std::string> text = node.value_exact<std::string>()) return *text;
        if (std::optional<bool> truth = node.value_exact<bool>()) return *truth ? "true" : "false";
        std::ostringstream out;
        node.visit([&](const auto& content) { out << content; });
        return out.str();
    }
    std::string known() const {
        std::string list;
        for (const std::string& key : asked_) list += (list.empty() ? "" : ", ") + key;
        return list;
    }

    const toml::table& table_;
    std::string name_, file_;
    std::set<std::string> asked_;
};

DataPreset read_data(Section section) {
    DataPreset data;
    section.read("name", data.name);
    section.read("description", data.description);
    section.read_choice("split", data.split, {"natural", "own", "grouped", "random"});
    section.read("train", data.train, 0, 1);
    section.read("val", data.val, 0, 1);
    section.read("test", data.test, 0, 1);
    section.read("max_train", data.max_train, -1);
    section.read("max_val", data.max_val, -1);
    section.read("max_test", data.max_test, -1);
    section.read("malignant", data.malignant);
    section.read("find_copies", data.find_copies);
    section.read("resize", data.resize, 0);
    section.read("per_class", data.per_class, 10);
    section.read("size", data.size, 16);
    section.done();
    return data;
}

void read_model(Section& section, ModelPreset& model) {
    section.read("title", model.title);
    section.read_choice("architecture", model.architecture, architectures());
    section.read("size", model.size, 0);
    if (auto numbers = section.section("numbers")) model.numbers = numbers->numbers();
    section.read("normalize", model.normalize);
    section.read("init", model.init);
    try {
        ImageOptions image;
        set_normalization(image, model.normalize);
    } catch (const OptionsError& error) {
        throw OptionsError(section.where(), error.what());
    }
}

// What is not said stays as it is in `training`.
Recipe read_training(Section section, Recipe training) {
    section.read("epochs", training.epochs, 1);
    section.read("batch", training.batch, 1);
    section.read_choice("optimizer", training.optimizer, recipe_optimizers());
    section.read("lr", training.lr, 0, 10);
    section.read("weight_decay", training.weight_decay, 0, 1);
    section.read("momentum", training.momentum, 0, 1);
    section.read_choice("schedule", training.schedule, recipe_schedules());
    section.read("warm_up", training.warm_up, 0);
    section.read("plateau_factor", training.plateau_factor, 0, 1);
    section.read("plateau_min_delta", training.plateau_min_delta, 0, 1);
    section.read("plateau_patience", training.plateau_patience, 1);
    section.read("early_stopping", training.early_stopping, 0);
    section.read("restore_best", training.restore_best);
    section.read("freeze", training.freeze);
    std::vector<std::string> groups;
    section.read("lr_of", groups);
    if (!groups.empty()) training.lr_of.clear();
    try {
        for (const std::string& text : groups) training.lr_of.push_back(lr_group(text));
    } catch (const OptionsError& error) {
        throw OptionsError(section.where(), error.what());
    }
    section.read("class_weights", training.class_weights);
    std::string sampling = training.balanced ? "balanced" : "natural";
    section.read_choice("sampling", sampling, {"natural", "balanced"});
    training.balanced = sampling == "balanced";
    if (auto augment = section.section("augment")) {
        bool flips = training.augmentation.flip_vertical;
        augment->read("flips", flips);
        training.augmentation.flip_horizontal = training.augmentation.flip_vertical = flips;
        augment->read("right_angles", training.augmentation.right_angles);
        augment->read("rotation", training.augmentation.rotation, 0, 180);
        augment->read("shift", training.augmentation.shift, 0, 1);
        augment->read("zoom", training.augmentation.zoom, 0, 0.9);
        augment->read("brightness", training.augmentation.brightness, 0, 1);
        augment->done();
    }
    section.done();
    // As `microtome train` has it: whoever asks for fewer epochs need not think of the warm-up.
    training.warm_up = std::min(training.warm_up, training.epochs - 1);
    return training;
}

AttackPreset read_attack(Section& section) {
    AttackPreset attack;
    section.read("attack", attack.attack);
    section.read("title", attack.title);
    section.read_epsilons("epsilons", attack.epsilons);
    section.read("models", attack.models);
    section.read("column", attack.column);
    std::vector<double> one;
    section.read_epsilons("column_epsilon", one);
    if (!one.empty()) attack.column_epsilon = one[0];
    section.read("also_static", attack.also_static);
    if (auto settings = section.section("settings")) attack.settings = settings->settings();
    section.done();
    // Whether there is such an attack with such settings is better said now than after the training.
    try {
        std::vector<double> epsilons = attack.epsilons;
        if (epsilons.empty()) make_attack(attack.attack, attack.settings);
        for (double epsilon : epsilons) {
            AttackSettings settings = attack.settings;
            settings.emplace_back("epsilon", epsilon_setting(epsilon));
            make_attack(attack.attack, settings);
        }
    } catch (const OptionsError& error) {
        throw OptionsError(section.where(), error.what());
    }
    // A cell of the before/after table is one accuracy: which, must be said.
    const bool is_one_of = std::any_of(attack.epsilons.begin(), attack.epsilons.end(),
                                       [&](double e) { return std::abs(e - attack.column_epsilon) < 1e-9; });
    if (!attack.column.empty() && (one.empty() ? attack.epsilons.size() > 1 : !is_one_of))
        throw OptionsError(section.where(), str("expected column_epsilon to be one of the epsilons, got ",
                                                one.empty() ? "none" : epsilon_text(attack.column_epsilon)));
    if (attack.title.empty()) attack.title = attack.attack;
    return attack;
}

UniversalPreset read_universal(Section section) {
    UniversalPreset universal;
    section.read("attack", universal.attack);
    section.read("title", universal.title);
    section.read("column", universal.column);
    if (auto settings = section.section("settings")) universal.settings = settings->settings();
    section.done();
    try {
        make_universal_attack(universal.attack, universal.settings);
    } catch (const OptionsError& error) {
        throw OptionsError(section.where(), error.what());
    }
    if (universal.title.empty()) universal.title = universal.attack;
    return universal;
}

RivalPreset read_rival(Section section, const Recipe& base) {
    RivalPreset rival{.name = {}, .model = {}, .training = base};
    section.read("name", rival.name);
    read_model(section, rival.model);
    if (auto training = section.section("training")) rival.training = read_training(*training, base);
    section.done();
    if (rival.name.empty()) throw OptionsError(section.where(), "expected a model to have a name, got none");
    if (rival.model.title.empty()) rival.model.title = rival.name;
    return rival;
}

EnsemblePreset read_ensemble(Section section) {
    EnsemblePreset ensemble;
    section.read("members", ensemble.members, 2);
    section.read("voting", ensemble.voting);
    section.done();
    if (ensemble.members == 0) ensemble.members = 3;
    if (ensemble.voting.empty()) ensemble.voting = voting_names();
    try {
        for (const std::string& name : ensemble.voting) voting_named(name);
    } catch (const OptionsError& error) {
        throw OptionsError(section.where(), error.what());
    }
    return ensemble;
}

HardeningPreset read_hardening(Section section, const Recipe& base) {
    HardeningPreset hardening;
    section.read("name", hardening.name);
    section.read("title", hardening.title);
    section.read("fresh", hardening.fresh);
    section.read("universal", hardening.universal);
    section.read("clean_weight", hardening.clean_weight, 0, 100);
    section.read("adversarial_weight", hardening.adversarial_weight, 0, 100);
    hardening.training = base;
    hardening.training.lr = 1e-4;
    if (auto training = section.section("training"))
        hardening.training = read_training(*training, hardening.training);
    for (Section& attack : section.sections("attacks")) hardening.attacks.push_back(read_attack(attack));
    section.done();
    if (hardening.name.empty() || hardening.name == "baseline")
        throw OptionsError(section.where(),
                           str("expected a hardening to have a name of its own, got '", hardening.name, "'"));
    if (hardening.attacks.empty() && !hardening.universal)
        throw OptionsError(section.where(), "expected a hardening to have attacks, got none",
                           "add [[hardening.attacks]]");
    if (hardening.clean_weight + hardening.adversarial_weight <= 0)
        throw OptionsError(section.where(), "expected clean_weight and adversarial_weight not to be both 0");
    if (hardening.title.empty()) hardening.title = hardening.name;
    return hardening;
}

// The keys that say which models an attack is for, checked against the models that there are.
void require_known_models(const Preset& preset, const std::string& where) {
    std::vector<std::string> models{"baseline", "contrast"};
    auto add = [&](const std::string& name) {
        if (std::find(models.begin(), models.end(), name) != models.end())
            throw OptionsError(where, str("two models are called '", name, "'"));
        models.push_back(name);
    };
    if (preset.ensemble.members > 0) add("ensemble");
    for (const RivalPreset& rival : preset.rivals) add(rival.name);
    for (const HardeningPreset& hardening : preset.hardening) add(hardening.name);
    for (const AttackPreset& attack : preset.attacks)
        for (const std::string& model : attack.models)
            if (std::find(models.begin(), models.end(), model) == models.end()) {
                std::string meant = closest_name(model, models);
                throw OptionsError(
                    where, str("attack '", attack.title, "' names a model '", model, "' that there is not"),
                    meant.empty()
                        ? "models are baseline, ensemble, and the names of [[models]] and [[hardening]]"
                        : "did you mean " + meant + "?");
            }
}

}  // namespace

std::string epsilon_setting(double epsilon) {
    char digits[32];
    return std::string(digits, std::to_chars(digits, digits + sizeof(digits), epsilon).ptr);
}

Preset preset_of_text(const std::string& text, const std::string& name) {
    toml::table file;
    try {
        file = toml::parse(text, name);
    } catch (const toml::parse_error& error) {
        throw FormatError(str(name, ":", error.source().begin.line),
                          str("expected TOML: ", error.description()));
    }
    Preset preset;
    preset.file = name;
    preset.text = text;
    Section root(file, "", name);
    root.read("title", preset.title);
    root.read("lead", preset.lead);
    root.read("asked", preset.asked);
    root.read("limits", preset.limits);
    root.read("seed", preset.seed);
    root.read_choice("published", preset.published, {"lung", "cervix"});
    if (auto data = root.section("data")) preset.data = read_data(*data);
    if (auto model = root.section("model")) {
        read_model(*model, preset.model);
        model->done();
    }
    if (auto training = root.section("training")) preset.training = read_training(*training, {});
    if (auto contrast = root.section("contrast")) {
        contrast->read("title", preset.contrast_title);
        if (auto numbers = contrast->section("numbers")) preset.contrast_numbers = numbers->numbers();
        auto training = contrast->section("training");
        preset.contrast = training ? read_training(*training, preset.training) : preset.training;
        contrast->done();
    }
    for (Section& rival : root.sections("models"))
        preset.rivals.push_back(read_rival(rival, preset.training));
    if (auto ensemble = root.section("ensemble")) preset.ensemble = read_ensemble(*ensemble);
    for (Section& attack : root.sections("attacks")) preset.attacks.push_back(read_attack(attack));
    for (Section& universal : root.sections("universal"))
        preset.universal.push_back(read_universal(universal));
    for (Section& hardening : root.sections("hardening"))
        preset.hardening.push_back(read_hardening(hardening, preset.training));
    root.done();
    require_known_models(preset, name);
    if (preset.title.empty()) throw OptionsError(name, "expected a title, got none", "title = \"...\"");
    return preset;
}

Preset read_preset(const std::string& path, const std::vector<std::string>& changes) {
    const std::string text = read_file(path, kMaxPresetBytes);
    Preset preset = preset_of_text(text, path);  // so that its own mistakes are told with its own lines
    if (!changes.empty()) {
        preset = preset_of_text(with_changes(text, path, changes), path + ", as changed");
        preset.file = path;
        std::string list;
        for (const std::string& change : changes) list += (list.empty() ? "" : ", ") + change;
        preset.limits.push_back("What the preset would show as it stands: changed for this run were " + list +
                                ".");
    }
    return preset;
}

}  // namespace microtome
