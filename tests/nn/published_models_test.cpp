// The architectures of the literature: what they are made of, under which names, and what they cost.
#include "nn/models/densenet.hpp"
#include "nn/models/mobilenet.hpp"
#include "nn/models/registry.hpp"
#include "nn/models/vit_small.hpp"
#include "nn/summary.hpp"
#include "tests/nn/model_test_support.hpp"

#include <catch2/catch.hpp>

using namespace microtome;
using Catch::Contains;

namespace {

NamedTensors with_zeros(const Module& model, std::string_view ending) {
    NamedTensors state = model.state();
    for (NamedTensor& entry : state)
        if (entry.name.ends_with(ending)) entry.tensor = Tensor::zeros(entry.tensor.shape());
    return state;
}

}  // namespace

TEST_CASE("published architectures have their published sizes", "[nn][models]") {
    struct Published {
        const char* name;
        int64_t weights;        // for 1000 classes
        int64_t multiply_adds;  // of an image of 224 x 224, in millions
    };
    // Counts as torchvision's and timm's documentation states them; for the two smallest transformers it has
    // too few digits, and products are 12 (197 * 12 d^2 + 2 * 197^2 d) + 196 * 768 d + 1000 d.
    for (const Published& known : {Published{"resnet18", 11'689'512, 1814},
                                   {"resnet34", 21'797'672, 3664},
                                   {"resnet50", 25'557'032, 4089},
                                   {"resnet101", 44'549'160, 7801},
                                   {"resnet152", 60'192'808, 11'514},
                                   {"vit-ti16", 5'717'416, 1254},
                                   {"vit-s16", 22'050'664, 4599},
                                   {"vit-b16", 86'567'656, 17'564},
                                   {"vit-l16", 304'326'632, 61'555},
                                   {"vit-b32", 88'224'232, 4409},
                                   {"vit-l32", 306'535'400, 15'378},
                                   {"vgg16", 138'357'544, 15'470},
                                   {"densenet121", 7'978'856, 2834},
                                   {"mobilenetv2", 3'504'872, 301}}) {
        INFO(known.name);
        auto model = make_model(known.name, {.classes = 1000});
        CHECK(model->trainable_count() == known.weights);
        const Summary table = summary(*model, {1, 224, 224, 3});
        CHECK((table.multiply_adds + 500'000) / 1'000'000 == known.multiply_adds);
    }
    CHECK(make_model("resnet50", {.classes = 3})->trainable_count() == 23'514'179);
    CHECK(make_model("resnet50", {.classes = 5})->trainable_count() == 23'518'277);
}

TEST_CASE("the stages of ResNet-50", "[nn][models]") {
    auto model = make_model("resnet50", {.classes = 3});
    std::vector<Shape> stages;
    for (const LayerRow& row : summary(*model, {2, 224, 224, 3}).rows)
        if (row.name == "maxpool" ||
            (row.kind == "ReLU" && row.name.ends_with("relu") && row.output[3] >= 256))
            if (stages.empty() || stages.back() != row.output) stages.push_back(row.output);
    CHECK(std::count(stages.begin(), stages.end(), Shape{2, 56, 56, 64}) == 1);
    for (const Shape& shape :
         {Shape{2, 56, 56, 256}, Shape{2, 28, 28, 512}, Shape{2, 14, 14, 1024}, Shape{2, 7, 7, 2048}})
        CHECK(std::count(stages.begin(), stages.end(), shape) >= 1);

    // The stride is in the 3x3 convolution.
    for (const auto& [path, module] : model->named_modules()) {
        if (path == "layer2.0.conv1") CHECK_FALSE(module->options().find("stride") != std::string::npos);
        if (path == "layer2.0.conv2") CHECK_THAT(module->options(), Contains("stride 2"));
        if (path == "layer2.0.downsample.0") CHECK_THAT(module->options(), Contains("stride 2"));
    }
    CHECK_THROWS_WITH(make_model("resnet51"), Contains("did you mean resnet50?"));
}

TEST_CASE("published architectures have torchvision's and timm's names", "[nn][models]") {
    auto first_and_last = [](const char* name) {
        const std::vector<NamedParameter> all = make_model(name)->named_parameters();
        return std::pair{all.front().name, all.back().name};
    };
    using Names = std::pair<std::string, std::string>;
    CHECK(first_and_last("resnet18") == Names{"conv1.weight", "fc.bias"});
    CHECK(first_and_last("vit-ti16") == Names{"cls_token", "head.bias"});
    CHECK(first_and_last("vgg16") == Names{"features.0.weight", "classifier.6.bias"});
    CHECK(first_and_last("densenet121") == Names{"features.conv0.weight", "classifier.bias"});
    CHECK(first_and_last("mobilenetv2") == Names{"features.0.0.weight", "classifier.1.bias"});

    auto shape_of = [](const char* model, const std::string& name) {
        for (const NamedParameter& named : make_model(model, {.classes = 7})->named_parameters())
            if (named.name == name) return named.parameter->value.shape();
        return Shape{};
    };
    CHECK(shape_of("resnet50", "layer3.5.conv3.weight") == Shape{1024, 1, 1, 256});
    CHECK(shape_of("resnet34", "layer4.0.downsample.1.running_var") == Shape{512});
    CHECK(shape_of("vit-s16", "blocks.11.mlp.fc1.weight") == Shape{1536, 384});
    CHECK(shape_of("vgg16", "features.28.weight") == Shape{512, 3, 3, 512});
    CHECK(shape_of("vgg16", "classifier.0.weight") == Shape{4096, 25'088});
    CHECK(shape_of("densenet121", "features.denseblock4.denselayer16.norm1.weight") == Shape{992});
    CHECK(shape_of("densenet121", "features.transition3.conv.weight") == Shape{512, 1, 1, 1024});
    CHECK(shape_of("mobilenetv2", "features.1.conv.0.0.weight") == Shape{32, 3, 3, 1});
    CHECK(shape_of("mobilenetv2", "features.17.conv.2.weight") == Shape{320, 1, 1, 960});
    CHECK(shape_of("mobilenetv2", "features.18.0.weight") == Shape{1280, 1, 1, 320});
}

TEST_CASE("a dense layer keeps what it was given, in front", "[nn][models]") {
    DenseLayer layer(3, 2);
    layer.initialize(1);
    const Tensor x = test::images({1, 2, 2, 3}), y = layer(x);
    REQUIRE(y.shape() == Shape{1, 2, 2, 5});
    bool any = false;
    for (int pixel = 0; pixel < 4; ++pixel) {
        for (int c = 0; c < 3; ++c) CHECK(y.data<float>()[pixel * 5 + c] == x.data<float>()[pixel * 3 + c]);
        any |= y.data<float>()[pixel * 5 + 3] != 0;
    }
    CHECK(any);
}

TEST_CASE("an inverted residual has a shortcut where the shape stays, and no ReLU behind it",
          "[nn][models]") {
    InvertedResidual same(8, 8, 1, 6), half(8, 8, 2, 6), other(8, 16, 1, 6), bare(8, 8, 1, 1);
    for (InvertedResidual* block : {&same, &half, &other, &bare}) block->initialize(2);
    Tensor x = test::images({1, 4, 4, 8});
    x.mutable_data<float>()[0] = -3;
    // With the last batch norm's scale at 0 only a shortcut is left.
    same.load(with_zeros(same, "conv.3.weight"));
    CHECK(identical(same(x), x));
    half.load(with_zeros(half, "conv.3.weight"));
    CHECK(identical(half(x), Tensor::zeros({1, 2, 2, 8})));
    other.load(with_zeros(other, "conv.3.weight"));
    CHECK(identical(other(x), Tensor::zeros({1, 4, 4, 16})));
    bare.load(with_zeros(bare, "conv.2.weight"));
    CHECK(identical(bare(x), x));
}

TEST_CASE("MobileNet's width", "[nn][models]") {
    // Channels are multiples of 8 and at least nine tenths of what was asked: 0.35 * 24 = 8.4 is 8, 0.75 * 16
    // = 12 is 16; the last convolution never gets narrower.
    auto shapes = [](double width) {
        std::map<std::string, Shape> result;
        for (const NamedParameter& named :
             make_model("mobilenetv2", {.numbers = {{"width", width}}})->trainable())
            result[named.name] = named.parameter->value.shape();
        return result;
    };
    CHECK(shapes(0.35).at("features.2.conv.2.weight")[0] == 8);
    CHECK(shapes(0.75).at("features.1.conv.1.weight")[0] == 16);
    CHECK(shapes(0.5).at("features.18.0.weight") == Shape{1280, 1, 1, 160});
    CHECK(shapes(1.4).at("features.18.0.weight")[0] == 1792);
}

TEST_CASE("learned positions of another size", "[nn][vit]") {
    // What is linear in a row stays so, away from the edges, and the class token's position is not part of
    // it.
    std::vector<float> positions{-7};
    for (int row = 0; row < 6; ++row)
        for (int column = 0; column < 6; ++column) positions.push_back(static_cast<float>(row + 10 * column));
    const Tensor small = Tensor::of(positions, {1, 37, 1});
    CHECK(identical(resize_positions(small, 6, 6), small));
    const Tensor large = resize_positions(small, 12, 6);
    REQUIRE(large.shape() == Shape{1, 73, 1});
    CHECK(large.data<float>()[0] == -7);
    for (int row = 4; row < 8; ++row)
        for (int column = 0; column < 6; ++column)
            CHECK(large.data<float>()[1 + row * 6 + column] ==
                  Approx((row + 0.5) / 2 - 0.5 + 10 * column).margin(1e-4));
    CHECK(resize_positions(small, 3, 4).shape() == Shape{1, 13, 1});
    CHECK_THROWS_WITH(resize_positions(Tensor::zeros({1, 6, 4}), 2, 2), Contains("square grid"));
    CHECK_THROWS_AS(resize_positions(Tensor::zeros({37, 1}), 2, 2), ShapeError);
}
