// A study as a text file: what is asked, of which images, of which model, by which attacks. presets/ has
// some.
//
//     Preset preset = read_preset("presets/demo.toml");
//     StudyOutcome outcome = run_study(preset, options);              // studies/study.hpp
#pragma once

#include "attacks/registry.hpp"
#include "training/recipe.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace microtome {

struct DataPreset {
    std::string name = "tissue";  // what reports call it
    std::string description{};
    std::string split = "natural";  // random, grouped, own; natural: whichever the set allows, the best first
    double train = 0.8, val = 0.1, test = 0.1;
    int64_t max_train = -1, max_val = -1, max_test = -1;   // images of each class; -1: all
    std::vector<std::string> malignant{"*_aca", "*_scc"};  // patterns of class names
    bool find_copies = true;  // look for turned and mirrored copies that the set's groups do not know
    int64_t resize = 0;       // pixels a side to which images are brought when they are read; 0: as stored
    int64_t per_class = 120, size = 96;  // of the built-in tissue, where no data is given
};

struct ModelPreset {
    std::string title{};  // what reports call it
    std::string architecture = "cnn";
    int64_t size = 0;  // pixels a side of what the model looks at; 0: the architecture's own
    std::map<std::string, double> numbers{};  // what else the architecture can be told
    std::string normalize = "none";           // as set_normalization() takes it (nn/transfer.hpp)
    std::string init{};                       // a file of weights to begin with; empty: none
};

// Another architecture, trained on the same images and under the same attacks.
struct RivalPreset {
    std::string name;  // "vit"
    ModelPreset model{};
    Recipe training{};
};

// The baseline and others like it, of other seeds, answering together: nn/ensemble.hpp.
struct EnsemblePreset {
    int64_t members = 0;                // the baseline among them; 0: no ensemble
    std::vector<std::string> voting{};  // names of Voting, a model each
};

// One attack at one epsilon or several.
struct AttackPreset {
    std::string attack;                 // a name or profile of attacks/registry.hpp
    std::string title{};                // for tables and plots
    AttackSettings settings{};          // without epsilon
    std::vector<double> epsilons{};     // empty: the attack's or profile's own
    std::vector<std::string> models{};  // which ("baseline", "ensemble", a name of another); empty: all
    std::string column{};               // of the before/after table; empty: not in it
    double column_epsilon = -1;         // which of several epsilons stands there
    bool also_static =
        false;  // what stands there, made against the baseline, is shown to hardened models too
};

// A universal perturbation or patch, fitted on training images.
struct UniversalPreset {
    std::string attack;
    std::string title{};
    AttackSettings settings{};
    std::string column{};
};

struct HardeningPreset {
    std::string name;  // "fresh"
    std::string title{};
    bool fresh = true;  // attack the weights of the moment; else those of the baseline, once
    std::vector<AttackPreset> attacks{};
    bool universal = false;  // the baseline's universal attacks are among them
    double clean_weight = 0.5, adversarial_weight = 0.5;
    Recipe training{};
};

struct Preset {
    std::string file{}, text{};  // where it was read, and what stood there
    std::string title{}, lead{};
    std::vector<std::string> asked{}, limits{};
    uint64_t seed = 0;
    std::string
        published{};  // also what this study's notebooks ran, as they ran it: lung, cervix; empty: none
    DataPreset data{};
    ModelPreset model{};
    Recipe training{};
    std::vector<RivalPreset> rivals{};
    EnsemblePreset ensemble{};
    std::optional<Recipe> contrast{};  // another training of the same model, for comparison only
    std::string contrast_title{};
    std::map<std::string, double> contrast_numbers{};
    std::vector<AttackPreset> attacks{};
    std::vector<UniversalPreset> universal{};
    std::vector<HardeningPreset> hardening{};
};

// Throws MissingFileError, IoError; FormatError with the line for what is no TOML; OptionsError with the line
// for a key that presets do not have (and the one that was meant), a value of the wrong kind or out of its
// range, an attack or architecture that there is not. Changes are as with_changes() takes them
// (studies/preset_changes.hpp), and what they lead to is checked as if the file had said it; that there were
// any is said among the limits.
Preset read_preset(const std::string& path, const std::vector<std::string>& changes = {});
Preset preset_of_text(const std::string& text, const std::string& name);

// An epsilon as a setting that reads as the same number again.
std::string epsilon_setting(double epsilon);

}  // namespace microtome
