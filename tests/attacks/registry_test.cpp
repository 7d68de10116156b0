#include "attacks/registry.hpp"

#include "tests/attacks/attack_test_support.hpp"

#include <catch2/catch.hpp>

using namespace microtome;
using Catch::Contains;

namespace {

std::string option(const Attack& attack, const std::string& name) {
    for (const auto& [key, value] : attack.options())
        if (key == name) return value;
    return "none such";
}

}  // namespace

TEST_CASE("attacks by name", "[attacks]") {
    for (const std::string& name : attack_names()) {
        const auto attack =
            name == "shuffled" ? make_attack(name, {{"of", "fgsm"}}) : make_attack(name, {{"seed", "4"}});
        if (name != "shuffled") CHECK(attack->name() == name);
        CHECK_FALSE(attack->options().empty());
    }
    CHECK(attack_settings("gaussian-noise") == std::vector<std::string>{"epsilon", "seed"});
    CHECK(attack_settings("pgd-notebook") == attack_settings("pgd"));
    CHECK_THROWS_AS(attack_settings("pdg"), OptionsError);
    CHECK_THROWS_WITH(make_attack("pdg"), Contains("did you mean pgd?"));
    CHECK_THROWS_WITH(make_attack("zoo of attacks"), Contains("there is fgsm, bim, pgd"));
}

TEST_CASE("settings reach the attack and are printed whole", "[attacks]") {
    const auto attack = make_attack("pgd", {{"norm", "l2"},
                                            {"epsilon", "0.5"},
                                            {"step", "epsilon/10"},
                                            {"steps", "40"},
                                            {"restarts", "3"},
                                            {"loss", "dlr"},
                                            {"target", "2"},
                                            {"stop", "fooled"},
                                            {"seed", "11"}});
    CHECK(attack->options() == AttackOptions{{"norm", "l2"},
                                             {"epsilon", "0.5 (127.5/255)"},
                                             {"step", "0.05 (12.75/255)"},
                                             {"steps", "40"},
                                             {"start", "uniform in the ball"},
                                             {"restarts", "3"},
                                             {"momentum", "0"},
                                             {"loss", "dlr, or margin below 4 classes"},
                                             {"target", "class 2"},
                                             {"stop", "fooled"},
                                             {"seed", "11"}});
    CHECK(attack->threat().norm == Norm::l2);
    CHECK(attack->threat().epsilon == 0.5);
    CHECK(attack->cost().forward == 3 * 41);
    CHECK(option(*make_attack("mi-fgsm", {{"momentum", "0.75"}}), "momentum") == "0.75");
    CHECK(option(*make_attack("pgd", {{"random_start", "false"}}), "start") == "the image");
    CHECK(option(*make_attack("pgd", {{"epsilon", "8/255"}, {"steps", "20"}}), "step") ==
          "1/255 (0.0039216)");
}

TEST_CASE("settings that do not fit are refused", "[attacks]") {
    CHECK_THROWS_WITH(make_attack("pgd", {{"espilon", "8/255"}}), Contains("did you mean epsilon?"));
    CHECK_THROWS_WITH(make_attack("fgsm", {{"steps", "3"}}), Contains("steps"));  // FGSM has one
    CHECK_THROWS_WITH(make_attack("uniform-noise", {{"momentum", "3"}}), Contains("there is epsilon, seed"));
    CHECK_THROWS_WITH(make_attack("pgd", {{"steps", "3"}, {"steps", "4"}}), Contains("twice"));
    for (auto [key, value] : std::vector<std::pair<std::string, std::string>>{{"epsilon", "8"},
                                                                              {"epsilon", "x"},
                                                                              {"norm", "l1"},
                                                                              {"step", "0"},
                                                                              {"step", "epsilon/0"},
                                                                              {"steps", "0"},
                                                                              {"steps", "2.5"},
                                                                              {"steps", ""},
                                                                              {"restarts", "-1"},
                                                                              {"random_start", "yes"},
                                                                              {"loss", "mse"},
                                                                              {"target", "-1"},
                                                                              {"stop", "soon"},
                                                                              {"seed", "-1"}})
        CHECK_THROWS_AS(make_attack("pgd", {{key, value}}), OptionsError);
}

TEST_CASE("profiles are attacks with published settings", "[attacks]") {
    for (const AttackProfile& profile : attack_profiles()) {
        CHECK(make_attack(profile.name)->name() == profile.attack);
        CHECK_FALSE(profile.source.empty());
    }
    const auto notebook = make_attack("pgd-notebook");
    CHECK(option(*notebook, "epsilon") == "0.03 (7.65/255)");
    CHECK(option(*notebook, "step") == "0.01 (2.55/255)");
    CHECK(option(*notebook, "steps") == "5");
    CHECK(option(*notebook, "start") == "the image");
    CHECK(option(*make_attack("pgd-foolbox", {{"epsilon", "3/255"}}), "step") == "0.00039216 (0.1/255)");
    // What is set besides goes before.
    CHECK(option(*make_attack("pgd-notebook", {{"steps", "7"}}), "steps") == "7");
}
