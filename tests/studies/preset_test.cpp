#include "studies/preset.hpp"

#include "base/atomic_file.hpp"
#include "base/error.hpp"
#include "studies/preset_changes.hpp"
#include "tests/scratch_folder.hpp"

#include <catch2/catch.hpp>

using namespace microtome;
using Catch::Contains;

namespace {

Preset of(const std::string& text) {
    return preset_of_text(text, "x.toml");
}

}  // namespace

TEST_CASE("a preset says what it says, and defaults say the rest", "[preset]") {
    const Preset preset = of(R"(
title = "A"
asked = "one question"
limits = ["one", "two"]
seed = 7
[data]
per_class = 30
max_test = 5
malignant = ["bad*"]
[model]
architecture = "cnn"
numbers = { channels = 8, bn_momentum = 0.9 }
[training]
epochs = 3
lr = 0.5
augment = { flips = true, brightness = 0.25 }
[[attacks]]
attack = "pgd"
epsilons = ["0.25/255", 0.5]
settings = { steps = 3, random_start = false }
column = "PGD"
column_epsilon = 0.5
[[hardening]]
name = "fresh"
[hardening.training]
epochs = 2
[[hardening.attacks]]
attack = "fgsm"
epsilons = "1/255"
)");
    CHECK(preset.asked == std::vector<std::string>{"one question"});
    CHECK(preset.limits.size() == 2);
    CHECK(preset.seed == 7);
    CHECK(preset.data.per_class == 30);
    CHECK(preset.data.max_test == 5);
    CHECK(preset.data.max_train == -1);
    CHECK(preset.data.malignant == std::vector<std::string>{"bad*"});
    CHECK(preset.model.numbers.at("bn_momentum") == 0.9);
    CHECK(preset.training.augmentation.flip_vertical);
    CHECK(preset.training.augmentation.flip_horizontal);
    CHECK_FALSE(preset.training.augmentation.right_angles);
    CHECK(preset.training.augmentation.brightness == 0.25);
    REQUIRE(preset.attacks.size() == 1);
    CHECK(preset.attacks[0].title == "pgd");
    CHECK(preset.attacks[0].epsilons == std::vector<double>{0.25 / 255, 0.5});
    CHECK(preset.attacks[0].settings == AttackSettings{{"random_start", "false"}, {"steps", "3"}});
    REQUIRE(preset.hardening.size() == 1);
    CHECK(preset.hardening[0].training.epochs == 2);
    CHECK(preset.hardening[0].training.lr == 1e-4);                       // its own default
    CHECK(preset.hardening[0].training.augmentation.brightness == 0.25);  // the training's
    CHECK_FALSE(preset.contrast);
}

TEST_CASE("a preset that is wrong is refused with its line and what was meant", "[preset]") {
    CHECK_THROWS_WITH(of("title = 'A'\n[trainning]\nepochs = 3\n"),
                      Contains("x.toml:2") && Contains("trainning") && Contains("did you mean training?"));
    CHECK_THROWS_WITH(of("title = 'A'\n[training]\nepoch = 3\n"),
                      Contains("x.toml:3") && Contains("did you mean epochs?"));
    CHECK_THROWS_WITH(of("title = 'A'\n[training]\nepochs = 'three'\n"),
                      Contains("expected epochs to be a whole number, got three"));
    CHECK_THROWS_WITH(of("title = 'A'\n[training]\nepochs = 0\n"), Contains("1 or more"));
    CHECK_THROWS_WITH(of("title = 'A'\n[training]\noptimizer = 'adm'\n"), Contains("did you mean adam?"));
    CHECK_THROWS_WITH(of("title = 'A'\n[model]\narchitecture = 'cn'\n"), Contains("did you mean cnn?"));
    CHECK_THROWS_WITH(of("title = 'A'\n[[attacks]]\nattack = 'pdg'\n"),
                      Contains("x.toml:2") && Contains("pgd"));
    CHECK_THROWS_WITH(of("title = 'A'\n[[attacks]]\nattack = 'pgd'\nsettings = { step_count = 3 }\n"),
                      Contains("step_count"));
    CHECK_THROWS_WITH(of("title = 'A'\n[[attacks]]\nattack = 'pgd'\nepsilons = '8/'\n"),
                      Contains("epsilons"));
    CHECK_THROWS_WITH(
        of("title = 'A'\n[[attacks]]\nattack = 'pgd'\nmodels = 'frehs'\n[[hardening]]\nname = 'fresh'\n"
           "[[hardening.attacks]]\nattack = 'fgsm'\n"),
        Contains("did you mean fresh?"));
    CHECK_THROWS_WITH(of("title = 'A'\n[[hardening]]\nname = 'fresh'\n"), Contains("to have attacks"));
    CHECK_THROWS_WITH(
        of("title = 'A'\n[[hardening]]\nname = 'baseline'\n[[hardening.attacks]]\nattack = 'fgsm'\n"),
        Contains("name of its own"));
    CHECK_THROWS_WITH(of("title = 'A'\nattacks = 3\n"), Contains("tables, [[attacks]]"));
    CHECK_THROWS_WITH(of("title = 'A'\ndata = 3\n"), Contains("a table, [data]"));
    for (const char* column : {"column = 'P'\n", "column = 'P'\ncolumn_epsilon = 0.3\n"})
        CHECK_THROWS_WITH(
            of(std::string("title = 'A'\n[[attacks]]\nattack = 'pgd'\nepsilons = [0.1, 0.2]\n") + column),
            Contains("column_epsilon to be one of"));
    CHECK_THROWS_WITH(of("[training]\n"), Contains("expected a title"));
    CHECK_THROWS_AS(of("title = 'A\n"), FormatError);
    CHECK_THROWS_WITH(of("title = 'A'\n\n[data\n"), Contains("x.toml:3"));
    CHECK_THROWS_AS(read_preset("no/such/preset.toml"), MissingFileError);
}

TEST_CASE("a preset can tune given weights, combine models and name rivals", "[preset]") {
    const Preset preset = of(R"(
title = "A"
published = "cervix"
[model]
title = "ours"
architecture = "resnet18"
normalize = "imagenet"
init = "weights.pth"
[training]
epochs = 4
freeze = ["conv1", "bn1"]
lr_of = ["fc=10", "layer4=0.5"]
class_weights = "balanced"
sampling = "balanced"
[[models]]
name = "vit"
architecture = "vit-ti16"
[models.training]
lr = 0.25
sampling = "natural"
[ensemble]
members = 5
voting = "vote"
[[attacks]]
attack = "fgsm"
models = ["ensemble", "vit"]
)");
    CHECK(preset.published == "cervix");
    CHECK(preset.model.title == "ours");
    CHECK(preset.model.normalize == "imagenet");
    CHECK(preset.model.init == "weights.pth");
    CHECK(preset.training.freeze == std::vector<std::string>{"conv1", "bn1"});
    REQUIRE(preset.training.lr_of.size() == 2);
    CHECK(preset.training.lr_of[0].pattern == "fc");
    CHECK(preset.training.lr_of[1].lr_factor == 0.5);
    CHECK(preset.training.class_weights == "balanced");
    CHECK(preset.training.balanced);
    REQUIRE(preset.rivals.size() == 1);
    CHECK(preset.rivals[0].model.title == "vit");
    CHECK(preset.rivals[0].model.architecture == "vit-ti16");
    CHECK(preset.rivals[0].training.lr == 0.25);
    CHECK(preset.rivals[0].training.epochs == 4);  // the base's
    CHECK_FALSE(preset.rivals[0].training.balanced);
    CHECK(preset.ensemble.members == 5);
    CHECK(preset.ensemble.voting == std::vector<std::string>{"vote"});
    CHECK(of("title = 'A'\n[ensemble]\n").ensemble.voting.size() == 3);
    CHECK(of("title = 'A'\n").ensemble.members == 0);

    for (const auto& [text, why] : std::vector<std::pair<std::string, std::string>>{
             {"published = 'lungs'\n", "did you mean lung?"},
             {"[model]\nnormalize = 'imagnet'\n", "imagenet"},
             {"[training]\nlr_of = ['fc']\n", "PATTERN=FACTOR"},
             {"[training]\nsampling = 'even'\n", "natural, balanced"},
             {"[ensemble]\nmembers = 1\n", "2 or more"},
             {"[ensemble]\nvoting = 'votes'\n", "did you mean vote?"},
             {"[[models]]\narchitecture = 'cnn'\n", "a name"},
             {"[[models]]\nname = 'baseline'\n", "two models are called 'baseline'"},
             {"[[attacks]]\nattack = 'fgsm'\nmodels = 'ensemble'\n", "there is not"}})
        CHECK_THROWS_WITH(of("title = 'A'\n" + text), Contains(why));
}

TEST_CASE("an epsilon survives being a setting", "[preset]") {
    for (double epsilon : {0.25 / 255, 8.0 / 255, 0.03, 1e-9, 0.0})
        CHECK(std::stod(epsilon_setting(epsilon)) == epsilon);
}

TEST_CASE("the presets that come with the program can be read", "[preset]") {
    for (const char* name :
         {"demo", "lc25000", "lc25000-published", "cervix", "cervix-published", "architectures"}) {
        const Preset preset = read_preset(str(MICROTOME_SOURCE "/presets/", name, ".toml"));
        CHECK_FALSE(preset.attacks.empty());
        CHECK_FALSE(preset.asked.empty());
        CHECK_FALSE(preset.limits.empty());
    }
}

TEST_CASE("a preset's values can be changed on the command line", "[preset]") {
    const std::string text = R"(# a comment
title = "A"
[data]
max_train = 5
[training]
lr = 0.1
augment = { brightness = 0.25 }
[[models]]
name = "one"
size = 224
numbers = { drop_path = 0.1 }
[[models]]
name = "two"
[models.training]
epochs = 9
[[attacks]]
attack = "pgd"
epsilons = ["0.25/255", "8/255"]
[[hardening]]
name = "fresh"
[[hardening.attacks]]
attack = "fgsm"
epsilons = "1/255"
)";
    CHECK(with_changes(text, "x.toml", {}) == text);
    auto changed = [&](const std::vector<std::string>& changes) {
        return of(with_changes(text, "x.toml", changes));
    };
    // What is not changed stays.
    const Preset same = changed({"title=A"});
    CHECK(same.data.max_train == 5);
    CHECK(same.training.lr == 0.1);
    CHECK(same.training.augmentation.brightness == 0.25);
    CHECK(same.rivals[0].model.numbers.at("drop_path") == 0.1);
    CHECK(same.attacks[0].epsilons == std::vector<double>{0.25 / 255, 8.0 / 255});
    CHECK(same.hardening.size() == 1);
    CHECK_THAT(same.text, Contains("# x.toml") && Contains("\n#     title=A\n"));

    const Preset preset =
        changed({"data.max_train=60", "data.description=a = b", "training.augment.rotation=15",
                 "model.architecture=resnet18", "models.*.size=96", "models.1.training.epochs=2",
                 "attacks.0.epsilons=[\"1/255\", 0.5]", "hardening=[]"});
    CHECK(preset.data.max_train == 60);
    CHECK(preset.data.description == "a = b");
    CHECK(preset.training.augmentation.rotation == 15);
    CHECK(preset.training.augmentation.brightness == 0.25);
    CHECK(preset.model.architecture == "resnet18");
    CHECK(preset.rivals[0].model.size == 96);
    CHECK(preset.rivals[1].model.size == 96);
    CHECK(preset.rivals[1].training.epochs == 2);
    CHECK(preset.attacks[0].epsilons == std::vector<double>{1.0 / 255, 0.5});
    CHECK(preset.hardening.empty());

    for (const std::string wrong : {"data.max_train", "=3", "data..max_train=3", "title.x=3", "models.size=3",
                                    "models.2.size=3", "models.-1.size=3", "models.0=3", "asked.*.x=3"})
        CHECK_THROWS_AS(changed({wrong}), OptionsError);
    CHECK_THROWS_WITH(changed({"models.2.size=3"}), Contains("2 tables called models"));
    CHECK_THROWS_WITH(changed({"data.max_trian=3"}), Contains("did you mean max_train?"));
    CHECK_THROWS_WITH(changed({"training.epochs=many"}), Contains("a whole number, got many"));
    CHECK_THROWS_AS(with_changes("title = ", "x.toml", {"a=1"}), FormatError);

    // The warm-up is shorter than the training.
    CHECK(changed({"training.warm_up=3", "training.epochs=9"}).training.warm_up == 3);
    CHECK(changed({"training.warm_up=3", "training.epochs=2"}).training.warm_up == 1);
    CHECK(changed({"training.warm_up=3", "training.epochs=1"}).training.warm_up == 0);

    // From a file, whose own mistakes are told first, with its own lines.
    ScratchFolder folder;
    write_file(folder / "good.toml", text);
    const Preset read = read_preset(folder / "good.toml", {"data.max_train=60", "seed=3"});
    CHECK(read.data.max_train == 60);
    CHECK(read.file == folder / "good.toml");
    REQUIRE(read.limits.size() == 1);
    CHECK_THAT(read.limits[0], Contains("as it stands") && Contains("data.max_train=60, seed=3."));
    CHECK(read_preset(folder / "good.toml").limits.empty());
    write_file(folder / "bad.toml", "title = 'A'\n\nx = 1\n");
    CHECK_THROWS_WITH(read_preset(folder / "bad.toml", {"seed=3"}), Contains("bad.toml:3]"));
}
