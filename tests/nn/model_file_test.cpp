#include "nn/model_file.hpp"

#include "base/atomic_file.hpp"
#include "nn/safetensors.hpp"
#include "tests/full_disk.hpp"
#include "tests/nn/model_test_support.hpp"
#include "tests/scratch_folder.hpp"

#include <catch2/catch.hpp>

using namespace microtome;
using Catch::Contains;

namespace {

ModelCard card() {
    return {.architecture = "cnn",
            .options = {.classes = 2,
                        .image = {.height = 40,
                                  .width = 44,
                                  .channels = 3,
                                  .low = 0,
                                  .high = 255,
                                  .mean = {123.675, 116.28, 0.1 + 0.2},
                                  .deviation = {58.395, 57.12, 57.375}},
                        .numbers = {{"channels", 3}, {"bn_momentum", 0.9}}},
            .classes = {"benign", "malign \"\u00e9\""},
            .training = {{"epochs", "27"}, {"seed", "1"}}};
}

std::unique_ptr<Module> model() {
    auto result = make_model(card().architecture, card().options);
    result->initialize(9);
    return result;
}

StatedModel statement() {
    return {.architecture = "cnn",
            .classes = {{"benign", "malign"}},
            .range = {{0, 1}},
            .normalization = StatedModel::Normalization{},
            .height = 40,
            .width = 44,
            .numbers = {{"channels", 3}, {"bn_momentum", 0.9}}};
}

}  // namespace

TEST_CASE("a model comes back whole from its file", "[nn][files]") {
    ScratchFolder folder;
    const std::string path = folder / "model.safetensors";
    auto original = model();
    save_model(path, *original, card());
    LoadedModel loaded = load_model(path);
    CHECK(loaded.card == card());
    CHECK_FALSE(loaded.model->training());
    CHECK(test::state_hash(*loaded.model) == test::state_hash(*original));
    Tensor x = test::images({2, 40, 44, 3});
    CHECK(identical((*loaded.model)(x), (*original)(x)));

    const std::string again = folder / "again.safetensors";
    save_model(again, *loaded.model, loaded.card);
    CHECK(read_file(again, 1 << 20) == read_file(path, 1 << 20));

    // PyTorch's names and layouts, for whoever reads the file with something else.
    for (const NamedTensor& entry : read_tensors(path).tensors)
        if (entry.name == "conv2.weight") CHECK(entry.tensor.shape() == Shape{6, 3, 3, 3});
}

TEST_CASE("a card must fit its model", "[nn][files]") {
    ScratchFolder folder;
    auto original = model();
    ModelCard wrong = card();
    wrong.classes.pop_back();
    CHECK_THROWS_WITH(save_model(folder / "x", *original, wrong), Contains("2 classes, got 1"));
    wrong = card();
    wrong.options.numbers["channels"] = 4;
    CHECK_THROWS_WITH(save_model(folder / "x", *original, wrong), Contains("fits the model"));
    wrong = card();
    wrong.architecture = "no-such";
    CHECK_THROWS_AS(save_model(folder / "x", *original, wrong), OptionsError);
    CHECK_THROWS_AS(save_model(folder / "x", *make_model("cnn", card().options), card()), ShapeError);
    CHECK(folder.names().empty());
}

TEST_CASE("weights without a description want one", "[nn][files]") {
    ScratchFolder folder;
    const std::string path = folder / "weights.safetensors";
    auto original = model();
    write_tensors(path, {original->state(), {{"format", "pt"}}});
    CHECK_THROWS_WITH(load_model(path), Contains("architecture, classes, pixel range, normalization"));
    StatedModel stated = statement();
    stated.range.reset();
    CHECK_THROWS_WITH(load_model(path, stated), Contains("not stated: pixel range."));
    stated = statement();
    stated.normalization.reset();
    CHECK_THROWS_AS(load_model(path, stated), OptionsError);

    LoadedModel loaded = load_model(path, statement());
    CHECK(test::state_hash(*loaded.model) == test::state_hash(*original));
    CHECK(loaded.card.options.image.high == 1);
    stated = statement();
    stated.numbers["channels"] = 4;
    CHECK_THROWS_WITH(load_model(path, stated),
                      Contains("conv1.weight") && Contains("f32(4,3,3,3)") && Contains("f32(3,3,3,3)"));
    save_model(path, *original, card());
    CHECK_THROWS_WITH(load_model(path, statement()), Contains("describes its own model"));
}

TEST_CASE("a damaged model file is refused whole", "[nn][files]") {
    ScratchFolder folder;
    const std::string path = folder / "model.safetensors";
    auto original = model();
    save_model(path, *original, card());
    const TensorFile good = read_tensors(path);
    auto with = [&](auto&& change) {
        TensorFile file = good;
        change(file);
        write_tensors(path, file);
    };
    auto description = [&](const std::string& from, const std::string& to) {
        with([&](TensorFile& file) {
            std::string& text = file.metadata.at("microtome");
            REQUIRE(text.find(from) != std::string::npos);
            text.replace(text.find(from), from.size(), to);
        });
    };
    with([](TensorFile& file) { file.tensors.pop_back(); });
    CHECK_THROWS_WITH(load_model(path), Contains("got none"));
    with([](TensorFile& file) { file.tensors[0].tensor = Tensor::zeros({1}); });
    CHECK_THROWS_AS(load_model(path), FormatError);
    description("\"format\":1", "\"format\":2");
    CHECK_THROWS_WITH(load_model(path), Contains("newer"));
    for (const auto& [from, to] :
         std::vector<std::pair<std::string, std::string>>{{"\"cnn\"", "\"dnn\""},
                                                          {"\"cnn\"", "3"},
                                                          {"\"height\":40", "\"height\":39"},
                                                          {"\"height\":40", "\"height\":400"},
                                                          {"\"height\":40", "\"height\":-1"},
                                                          {"\"height\":40", "\"height\":1000000000000"},
                                                          {"\"channels\":3", "\"channels\":1e300"},
                                                          {"\"channels\":3", "\"layers\":3"},
                                                          {"[0,255]", "[0,255,3]"},
                                                          {"[0,255]", "[255,0]"},
                                                          {"58.395", "0"},
                                                          {"58.395", "null"},
                                                          {"\"benign\",", ""},
                                                          {"{", "["},
                                                          {"}}", "}"}}) {
        INFO(from << " to " << to);
        description(from, to);
        CHECK_THROWS_AS(load_model(path), FormatError);
    }
}

TEST_CASE("a full disk leaves the old model", "[nn][files]") {
    ScratchFolder folder;
    const std::string path = folder / "model.safetensors";
    auto original = model();
    save_model(path, *original, card());
    auto other = model();
    other->initialize(10);
    {
        FullDisk disk(1024);
        CHECK_THROWS_AS(save_model(path, *other, card()), IoError);
    }
    CHECK(test::state_hash(*load_model(path).model) == test::state_hash(*original));
    CHECK(folder.names() == std::vector<std::string>{"model.safetensors"});
}
