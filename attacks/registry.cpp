#include "attacks/registry.hpp"

#include "attacks/bim.hpp"
#include "attacks/blended_patch.hpp"
#include "attacks/fgsm.hpp"
#include "attacks/mi_fgsm.hpp"
#include "attacks/noise.hpp"
#include "attacks/patch.hpp"
#include "attacks/pgd.hpp"
#include "attacks/settings.hpp"
#include "attacks/shuffled.hpp"
#include "attacks/universal_perturbation.hpp"
#include "base/suggest.hpp"

#include <algorithm>

namespace microtome {
namespace {

using Made = std::unique_ptr<Attack>;

struct Entry {
    std::string name;
    std::vector<std::string> settings;
    Made (*make)(const SettingsReader& settings);
};

Made make_fgsm(const SettingsReader& settings) {
    FgsmOptions o;
    settings.read("norm", o.norm);
    settings.read_epsilon("epsilon", o.epsilon);
    settings.read("loss", o.loss);
    settings.read("target", o.target);
    settings.read("seed", o.seed);
    return std::make_unique<Fgsm>(o);
}

// What the attacks of many steps have in common.
template <class Options>
Options read_steps(const SettingsReader& settings) {
    Options o;
    settings.read("norm", o.norm);
    settings.read_epsilon("epsilon", o.epsilon);
    settings.read_step("step", o.epsilon, o.step);
    settings.read("steps", o.steps);
    settings.read("loss", o.loss);
    settings.read("target", o.target);
    settings.read("stop", o.stop);
    settings.read("seed", o.seed);
    return o;
}

Made make_bim(const SettingsReader& settings) {
    return std::make_unique<Bim>(read_steps<BimOptions>(settings));
}

Made make_pgd(const SettingsReader& settings) {
    auto o = read_steps<PgdOptions>(settings);
    settings.read("random_start", o.random_start);
    settings.read("restarts", o.restarts);
    return std::make_unique<Pgd>(o);
}

Made make_mi_fgsm(const SettingsReader& settings) {
    auto o = read_steps<MiFgsmOptions>(settings);
    settings.read("momentum", o.momentum);
    return std::make_unique<MiFgsm>(o);
}

template <class Noise>
Made make_noise(const SettingsReader& settings) {
    NoiseOptions o;
    settings.read_epsilon("epsilon", o.epsilon);
    settings.read("seed", o.seed);
    return std::make_unique<Noise>(o);
}

// What attacks that are fitted have in common.
void read_fit(const SettingsReader& settings, FitOptions& o) {
    settings.read("epochs", o.epochs);
    settings.read("update", o.update);
    settings.read("lr", o.lr);
    settings.read("loss", o.loss);
    settings.read("target", o.target);
    settings.read("seed", o.seed);
}

Made make_universal_perturbation(const SettingsReader& settings) {
    UniversalPerturbationOptions o;
    settings.read_epsilon("epsilon", o.epsilon);
    settings.read("random_start", o.random_start);
    read_fit(settings, o.fit);
    return std::make_unique<UniversalPerturbation>(o);
}

Made make_blended_patch(const SettingsReader& settings) {
    BlendedPatchOptions o;
    settings.read("size", o.size);
    settings.read("top", o.top);
    settings.read("left", o.left);
    settings.read("beta", o.beta);
    read_fit(settings, o.fit);
    return std::make_unique<BlendedPatch>(o);
}

Made make_patch(const SettingsReader& settings) {
    PatchOptions o;
    settings.read("rotation", o.rotation);
    settings.read("scale_min", o.scale_min);
    settings.read("scale_max", o.scale_max);
    read_fit(settings, o.fit);
    return std::make_unique<Patch>(o);
}

std::vector<std::string> with_fit(std::vector<std::string> own) {
    own.insert(own.end(), {"epochs", "update", "lr", "loss", "target", "seed"});
    return own;
}

const std::vector<Entry>& table() {
    static const std::vector<Entry> entries{
        {"fgsm", {"norm", "epsilon", "loss", "target", "seed"}, make_fgsm},
        {"bim", {"norm", "epsilon", "step", "steps", "loss", "target", "stop", "seed"}, make_bim},
        {"pgd",
         {"norm", "epsilon", "step", "steps", "random_start", "restarts", "loss", "target", "stop", "seed"},
         make_pgd},
        {"mi-fgsm",
         {"norm", "epsilon", "step", "steps", "momentum", "loss", "target", "stop", "seed"},
         make_mi_fgsm},
        {"uniform-noise", {"epsilon", "seed"}, make_noise<UniformNoise>},
        {"gaussian-noise", {"epsilon", "seed"}, make_noise<GaussianNoise>},
        {"universal", with_fit({"epsilon", "random_start"}), make_universal_perturbation},
        {"blended-patch", with_fit({"size", "top", "left", "beta"}), make_blended_patch},
        {"patch", with_fit({"rotation", "scale_min", "scale_max"}), make_patch},
    };
    return entries;
}

Made make_shuffled(const AttackSettings& settings) {
    std::string original;
    AttackSettings own, rest;
    for (const auto& setting : settings) {
        if (setting.first == "of")
            original = setting.second;
        else
            (setting.first == "shuffle_seed" ? own : rest).push_back(setting);
    }
    if (original.empty())
        throw OptionsError("shuffled", "expected the attack whose perturbations to shuffle, got none",
                           "set of = pgd, say");
    if (original == "shuffled") throw OptionsError("shuffled", "expected another attack, got shuffled");
    uint64_t seed = 0;
    SettingsReader("shuffled", own, {"shuffle_seed"}).read("shuffle_seed", seed);
    return std::make_unique<Shuffled>(make_attack(original, rest), seed);
}

}  // namespace

const std::vector<AttackProfile>& attack_profiles() {
    static const std::vector<AttackProfile> profiles{
        {"pgd-notebook",
         "pgd",
         {{"epsilon", "0.03"}, {"step", "0.01"}, {"steps", "5"}, {"random_start", "false"}},
         "the lung and colon study's notebook"},
        {"universal-notebook",
         "universal",
         {{"epsilon", "0.05"}, {"lr", "0.01"}, {"epochs", "10"}, {"update", "adam"}},
         "the lung and colon study's notebook, which fitted it on its test images"},
        {"bim-thesis",
         "bim",
         {{"epsilon", "0.3"}, {"step", "0.01"}, {"steps", "10"}},
         "the cervical study; ten steps reach a third of its ball"},
        {"pgd-torchattacks",
         "pgd",
         {{"epsilon", "8/255"}, {"step", "2/255"}, {"steps", "10"}},
         "torchattacks 3, defaults"},
        {"pgd-foolbox", "pgd", {{"step", "epsilon/30"}, {"steps", "40"}}, "Foolbox 3, LinfPGD's defaults"},
        {"bim-foolbox",
         "bim",
         {{"step", "epsilon/5"}, {"steps", "10"}},
         "Foolbox 3, LinfBasicIterativeAttack's defaults"},
        {"pgd-art",
         "pgd",
         {{"epsilon", "0.3"}, {"step", "0.1"}, {"steps", "100"}, {"random_start", "false"}},
         "Adversarial Robustness Toolbox 1, defaults"},
        {"mi-fgsm-torchattacks",
         "mi-fgsm",
         {{"epsilon", "8/255"}, {"step", "2/255"}, {"steps", "10"}, {"momentum", "1"}},
         "torchattacks 3, defaults"},
    };
    return profiles;
}

namespace {

const AttackProfile* find_profile(std::string_view name) {
    for (const AttackProfile& profile : attack_profiles())
        if (profile.name == name) return &profile;
    return nullptr;
}

[[noreturn]] void refuse(std::string_view name) {
    std::vector<std::string> known = attack_names();
    for (const AttackProfile& profile : attack_profiles()) known.push_back(profile.name);
    const std::string closest = closest_name(name, known);
    std::string hint = closest.empty() ? "there is" : str("did you mean ", closest, "?");
    if (closest.empty())
        for (const std::string& one : attack_names()) hint += str(hint == "there is" ? " " : ", ", one);
    throw OptionsError("attack", str("expected an attack, got ", name), hint);
}

}  // namespace

std::vector<std::string> attack_names() {
    std::vector<std::string> names;
    for (const Entry& entry : table()) names.push_back(entry.name);
    names.emplace_back("shuffled");
    return names;
}

std::vector<std::string> attack_settings(std::string_view name) {
    for (const Entry& entry : table())
        if (entry.name == name) return entry.settings;
    if (name == "shuffled") return {"of", "shuffle_seed"};
    if (const AttackProfile* profile = find_profile(name)) return attack_settings(profile->attack);
    refuse(name);
}

std::unique_ptr<UniversalAttack> make_universal_attack(std::string_view name,
                                                       const AttackSettings& settings) {
    std::unique_ptr<Attack> made = make_attack(name, settings);
    auto* universal = dynamic_cast<UniversalAttack*>(made.get());
    if (universal == nullptr)
        throw OptionsError("attack", str("expected an attack that is fitted, got ", name),
                           "there is universal, blended-patch, patch");
    made.release();
    return std::unique_ptr<UniversalAttack>(universal);
}

std::unique_ptr<Attack> make_attack(std::string_view name, const AttackSettings& settings) {
    for (const Entry& entry : table())
        if (entry.name == name) return entry.make(SettingsReader(entry.name, settings, entry.settings));
    if (name == "shuffled") return make_shuffled(settings);
    if (const AttackProfile* profile = find_profile(name)) {
        AttackSettings merged = settings;
        for (const auto& setting : profile->settings)
            if (std::none_of(settings.begin(), settings.end(),
                             [&](const auto& given) { return given.first == setting.first; }))
                merged.push_back(setting);
        return make_attack(profile->attack, merged);
    }
    refuse(name);
}

}  // namespace microtome
