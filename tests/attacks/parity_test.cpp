// Writes what tests/parity/attacks_torch.py compares with torchattacks. Hidden: it wants a folder to write
// to.
#include "attacks/registry.hpp"
#include "nn/safetensors.hpp"
#include "tests/attacks/attack_test_support.hpp"

#include <catch2/catch.hpp>
#include <cstdlib>

using namespace microtome;

TEST_CASE("attacks for comparison with torchattacks", "[.attacks-parity]") {
    const char* folder = std::getenv("MICROTOME_PARITY");
    if (folder == nullptr) FAIL("expected the folder to write to in MICROTOME_PARITY");
    ModelCard card{
        .architecture = "mlp",
        .options = {.classes = 5, .image = {.height = 16, .width = 16}, .numbers = {{"width", 64}}},
        .classes = {"a", "b", "c", "d", "e"},
        .training = {}};
    auto model = make_model(card.architecture, card.options);
    model->initialize(3);
    NamedTensors tensors;
    for (const NamedTensor& entry : model->state()) tensors.push_back({entry.name, entry.tensor});
    ModelClassifier classifier({std::move(model), card});
    const Batch batch = test::answered(classifier, test::images({50, 16, 16, 3}));
    tensors.push_back({"images", batch.images});
    tensors.push_back({"labels", batch.targets});
    tensors.push_back({"logits", classifier.logits(batch)});
    const std::pair<const char*, AttackSettings> attacks[]{
        {"fgsm", {{"epsilon", "8/255"}}},
        {"bim", {{"epsilon", "8/255"}, {"step", "2/255"}, {"steps", "10"}}},
        {"pgd", {{"epsilon", "8/255"}, {"step", "2/255"}, {"steps", "10"}, {"random_start", "false"}}},
        {"mi-fgsm", {{"epsilon", "8/255"}, {"step", "2/255"}, {"steps", "10"}}},
    };
    for (const auto& [name, settings] : attacks)
        tensors.push_back({name, make_attack(name, settings)->run(classifier, batch)});
    const AttackSettings round{
        {"norm", "l2"}, {"epsilon", "0.5"}, {"step", "0.1"}, {"steps", "10"}, {"random_start", "false"}};
    tensors.push_back({"pgd-l2", make_attack("pgd", round)->run(classifier, batch)});
    write_tensors(str(folder, "/attacks.safetensors"), {.tensors = tensors, .metadata = {}});
}
