#include "nn/transfer.hpp"

#include "base/error.hpp"
#include "nn/safetensors.hpp"
#include "tests/nn/model_test_support.hpp"
#include "tests/scratch_folder.hpp"

#include <catch2/catch.hpp>

using namespace microtome;
using Catch::Contains;
using Names = std::vector<std::string>;

namespace {

ModelCard card_of(int64_t classes, double channels = 4) {
    ModelCard card;
    card.architecture = "resnet-small";
    card.options =
        complete_options("resnet-small", {.classes = classes, .numbers = {{"channels", channels}}});
    for (int64_t c = 0; c < classes; ++c) card.classes.push_back(str("class ", c));
    return card;
}

std::unique_ptr<Module> model_of(const ModelCard& card, uint64_t seed) {
    auto model = make_model(card.architecture, card.options);
    model->initialize(seed);
    return model;
}

// The names of all that has the same bits in both.
Names same_in(const Module& a, const Module& b) {
    Names names;
    const NamedTensors left = a.state(), right = b.state();
    for (std::size_t i = 0; i < left.size(); ++i)
        if (identical(left[i].tensor, right[i].tensor)) names.push_back(left[i].name);
    return names;
}

}  // namespace

TEST_CASE("a model inherits all weights, and begins its head anew for other classes", "[nn][transfer]") {
    ScratchFolder folder;
    const ModelCard before = card_of(5), same = card_of(5), other = card_of(3);
    const auto old = model_of(before, 1);
    save_model(folder / "old.safetensors", *old, before);
    const GivenWeights given = read_given_weights(folder / "old.safetensors");
    REQUIRE(given.card);
    CHECK(given.card->classes.size() == 5);

    const auto heir = model_of(same, 2);
    CHECK(inherit(*heir, same, given).anew.empty());
    CHECK(test::state_hash(*heir) == test::state_hash(*old));

    const auto fresh = model_of(other, 2), narrowed = model_of(other, 2);
    CHECK(inherit(*narrowed, other, given).anew == Names{"fc.weight", "fc.bias"});
    Names inherited = same_in(*narrowed, *old);
    const Names kept = same_in(*narrowed, *fresh);
    CHECK(inherited.size() + 2 == old->state().size());
    CHECK(std::find(inherited.begin(), inherited.end(), "fc.weight") == inherited.end());
    CHECK(std::find(kept.begin(), kept.end(), "fc.weight") != kept.end());
    CHECK(std::find(kept.begin(), kept.end(), "conv1.weight") == kept.end());
}

TEST_CASE("weights from elsewhere fit a model by name and shape, or nothing changes", "[nn][transfer]") {
    ScratchFolder folder;
    const ModelCard card = card_of(3);
    const auto old = model_of(card, 1);
    NamedTensors state = old->state();
    std::erase_if(state, [](const NamedTensor& entry) { return entry.name.starts_with("fc."); });
    NamedTensors wrapped = state;
    for (NamedTensor& entry : wrapped) entry.name = "module." + entry.name;
    write_tensors(folder / "headless.safetensors", {wrapped, {}});
    const GivenWeights given = read_given_weights(folder / "headless.safetensors");
    CHECK_FALSE(given.card);
    const auto heir = model_of(card, 2);
    const Inherited inherited = inherit(*heir, card, given);
    CHECK(inherited.anew == Names{"fc.weight", "fc.bias"});
    REQUIRE(inherited.notes.size() == 1);
    CHECK_THAT(inherited.notes[0], Contains("module."));
    CHECK(same_in(*heir, *old).size() >= state.size());

    // A body of another width is refused by name.
    const ModelCard wide = card_of(3, 6);
    const auto unharmed = model_of(wide, 3);
    const uint64_t hash = test::state_hash(*unharmed);
    CHECK_THROWS_WITH(inherit(*unharmed, wide, given), Contains("conv1.weight"));
    CHECK(test::state_hash(*unharmed) == hash);
    write_tensors(folder / "more.safetensors", {[&] {
                                                    NamedTensors more = old->state();
                                                    more.push_back({"extra", Tensor::zeros({2})});
                                                    return more;
                                                }(),
                                                {}});
    CHECK_THROWS_WITH(inherit(*heir, card, read_given_weights(folder / "more.safetensors")),
                      Contains("extra"));
    CHECK_THROWS_AS(read_given_weights(folder / "none"), MissingFileError);
}

TEST_CASE("a normalization is a name or numbers", "[nn][transfer]") {
    ImageOptions image;
    set_normalization(image, "imagenet");
    CHECK(image.mean == std::vector<double>{.485, .456, .406});
    CHECK(image.deviation == std::vector<double>{.229, .224, .225});
    set_normalization(image, "0.5,0.25,1/2,3,4");
    CHECK(image.mean == std::vector<double>{.5, .25, 1});
    CHECK(image.deviation == std::vector<double>{2, 3, 4});
    set_normalization(image, "none");
    CHECK(image.mean.empty());
    for (const char* wrong : {"imagnet", "1,2,x/1,1,1", ""})
        CHECK_THROWS_AS(set_normalization(image, wrong), OptionsError);
}
