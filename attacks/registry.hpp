// Attacks by name, with settings as text, as command lines and presets have them.
//
//     auto attack = make_attack("pgd", {{"epsilon", "2/255"}, {"steps", "40"}, {"restarts", "2"}});
//
//     fgsm             norm epsilon loss target seed
//     bim              norm epsilon step steps loss target stop seed
//     pgd              norm epsilon step steps random_start restarts loss target stop seed
//     mi-fgsm          norm epsilon step steps momentum loss target stop seed
//     uniform-noise    epsilon seed
//     gaussian-noise   epsilon seed
//     universal        epsilon random_start, and those of a fit: epochs update lr loss target seed
//     blended-patch    size top left beta, and those of a fit
//     patch            rotation scale_min scale_max, and those of a fit
//     shuffled         of (another attack's name), shuffle_seed, and that attack's own
//
// norm: linf, l2. epsilon: 8/255, 0.03. step: the same, or epsilon/30, or auto. loss: cross-entropy, margin,
// dlr. target: none, next, random or a class's number. stop: never, fooled. random_start: true, false.
// update: adam, sign.
//
// A profile is an attack with settings as somebody published them; what is set besides goes before.
#pragma once

#include "attacks/universal.hpp"

#include <memory>

namespace microtome {

using AttackSettings = std::vector<std::pair<std::string, std::string>>;

// Throws OptionsError for a name that is neither an attack nor a profile, for a setting that the attack does
// not have, or has twice, and for values out of their range.
std::unique_ptr<Attack> make_attack(std::string_view name, const AttackSettings& settings = {});

// One that is fitted before it is applied; OptionsError for the others.
std::unique_ptr<UniversalAttack> make_universal_attack(std::string_view name,
                                                       const AttackSettings& settings = {});

std::vector<std::string> attack_names();
// The settings that an attack or profile has. Throws as make_attack() does for another name.
std::vector<std::string> attack_settings(std::string_view name);

struct AttackProfile {
    std::string name;
    std::string attack;
    AttackSettings settings;
    std::string source;  // whose settings these are
};
const std::vector<AttackProfile>& attack_profiles();

}  // namespace microtome
