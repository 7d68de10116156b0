// What is left to say of models, optimizers and files beside their own tests: every public entry refuses bad
// input with one of our errors.
#include "autograd/ops/reductions.hpp"
#include "autograd/plan.hpp"
#include "autograd/tape.hpp"
#include "nn/attention.hpp"
#include "nn/classifier.hpp"
#include "nn/dropout.hpp"
#include "nn/models/cnn.hpp"
#include "nn/models/mlp.hpp"
#include "nn/models/resnet_small.hpp"
#include "nn/models/vit_small.hpp"
#include "nn/optimizers.hpp"
#include "nn/schedules.hpp"
#include "nn/summary.hpp"
#include "tests/full_disk.hpp"
#include "tests/scratch_folder.hpp"

#include <catch2/catch.hpp>
#include <limits>

using namespace microtome;
using Catch::Contains;

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

class OneLinear : public Module {
  public:
    std::string_view kind() const override { return "OneLinear"; }
    Linear& fc = add<Linear>("fc", 3, 2);

  private:
    Tensor forward(const Tensor& x, const Pass& pass) override { return fc(x, pass); }
};

}  // namespace

TEST_CASE("layers refuse what does not fit them", "[nn][bad_input]") {
    const Tensor none, integers = Tensor::zeros({1, 4, 4, 3}, Dtype::i64), rows = Tensor::zeros({2, 5});
    std::vector<std::unique_ptr<Module>> layers;
    layers.push_back(std::make_unique<Linear>(3, 2));
    layers.push_back(std::make_unique<Conv2d>(3, 2));
    layers.push_back(std::make_unique<BatchNorm>(3));
    layers.push_back(std::make_unique<LayerNorm>(3));
    layers.push_back(std::make_unique<MaxPool2d>(2));
    layers.push_back(std::make_unique<AveragePool2d>(2));
    layers.push_back(std::make_unique<GlobalAveragePool>());
    layers.push_back(std::make_unique<Relu>());
    layers.push_back(std::make_unique<Relu6>());
    layers.push_back(std::make_unique<Gelu>());
    layers.push_back(std::make_unique<Sigmoid>());
    layers.push_back(std::make_unique<Tanh>());
    layers.push_back(std::make_unique<PatchEmbed>(4, 4, 3, 2, 6));
    layers.push_back(std::make_unique<Attention>(6, 2));
    layers.push_back(std::make_unique<FeedForward>(3, 4));
    layers.push_back(std::make_unique<TransformerBlock>(6, 2, 0));
    layers.push_back(std::make_unique<Preprocess>(ImageOptions{.height = 4, .width = 4, .low = -1}));
    layers.push_back(std::make_unique<BasicBlock>(3, 4, 2));
    for (const auto& layer : layers) {
        INFO(layer->kind());
        layer->initialize(1);
        for (bool train : {false, true}) {
            layer->train(train);
            CHECK_THROWS_AS((*layer)(none), ShapeError);
            CHECK_THROWS_AS((*layer)(integers), Error);
        }
        const bool takes_rows = layer->parameter_count() == 0 && layer->kind() != "MaxPool2d" &&
                                layer->kind() != "AvgPool2d" && layer->kind() != "GlobalAveragePool" &&
                                layer->kind() != "Preprocess";
        if (!takes_rows) CHECK_THROWS_AS((*layer)(rows), ShapeError);
    }
    CHECK_THROWS_AS(Flatten()(none), ShapeError);
    CHECK_THROWS_AS(Sequential()(none).data<float>(), ShapeError);  // nothing done to nothing
    for (Module* layer : {static_cast<Module*>(new Dropout(0.5)), static_cast<Module*>(new DropPath(0.5))}) {
        std::unique_ptr<Module> owner(layer);
        layer->train();
        CHECK_THROWS_AS((*layer)(none, {.step = 0}), ShapeError);
        CHECK_THROWS_AS((*layer)(Tensor::scalar(1), {.step = 0}), ShapeError);
        CHECK_THROWS_AS((*layer)(integers, {.step = 0}), DtypeError);
    }
    class Widening : public Residual {
      public:
        Widening() { then<Linear>(3, 4); }
    } widening;
    widening.initialize(1);
    CHECK_THROWS_AS(widening(Tensor::zeros({2, 3})), ShapeError);
}

TEST_CASE("layers refuse options out of their range", "[nn][bad_input]") {
    CHECK_THROWS_AS(Linear(3, -1), OptionsError);
    CHECK_THROWS_AS(Conv2d(3, 4, {.kernel = 0}), OptionsError);
    CHECK_THROWS_AS(Conv2d(3, 4, {.stride = 0}), OptionsError);
    CHECK_THROWS_AS(Conv2d(3, 4, {.padding = -1}), OptionsError);
    CHECK_THROWS_AS(Conv2d(3, 4, {.dilation = 0}), OptionsError);
    CHECK_THROWS_AS(Conv2d(3, 3, {.groups = 0}), OptionsError);
    CHECK_THROWS_AS(MaxPool2d(2, -1), OptionsError);
    CHECK_THROWS_AS(AveragePool2d(0), OptionsError);
    CHECK_THROWS_AS(AveragePool2d(2, 2, -1), OptionsError);
    CHECK_THROWS_AS(BatchNorm(3, {.eps = 0}), OptionsError);
    CHECK_THROWS_AS(BatchNorm(3, {.new_weight = 1.5}), OptionsError);
    CHECK_THROWS_AS(BatchNorm(3, {.new_weight = kNan}), OptionsError);
    CHECK_THROWS_AS(LayerNorm(0), OptionsError);
    CHECK_THROWS_AS(LayerNorm(3, -1), OptionsError);
    CHECK_THROWS_AS(LayerNorm(3, kNan), OptionsError);
    CHECK_THROWS_AS(PatchEmbed(8, 8, 3, 0, 6), OptionsError);
    CHECK_THROWS_AS(PatchEmbed(8, 9, 3, 4, 6), OptionsError);
    CHECK_THROWS_AS(PatchEmbed(8, 8, 3, 4, 0), OptionsError);
    CHECK_THROWS_AS(Attention(6, 0), OptionsError);
    CHECK_THROWS_AS(Attention(0, 1), OptionsError);
    CHECK_THROWS_AS(FeedForward(6, 0), OptionsError);
    CHECK_THROWS_AS(TransformerBlock(6, 4, 0), OptionsError);
    CHECK_THROWS_AS(TransformerBlock(6, 2, 1), OptionsError);
    CHECK_THROWS_AS(Dropout(kNan), OptionsError);
    CHECK_THROWS_AS(DropPath(kNan), OptionsError);
    CHECK_THROWS_AS(Preprocess({.height = 2, .width = 2, .high = kNan}), OptionsError);
    CHECK_THROWS_AS(Preprocess({.height = 2, .width = 2, .high = kInfinity}), OptionsError);
    CHECK_THROWS_AS(Preprocess({.height = 2, .width = 2, .channels = 0}), OptionsError);
    CHECK_THROWS_AS(Cnn({.classes = 0}), OptionsError);
    CHECK_THROWS_AS(Cnn({.channels = 0}), OptionsError);
    CHECK_THROWS_AS(Mlp({.classes = 0}), OptionsError);
    CHECK_THROWS_AS(Mlp({.width = 0}), OptionsError);
    CHECK_THROWS_AS(Mlp({.depth = -1}), OptionsError);
    CHECK_THROWS_AS(ResnetSmall({.classes = 0}), OptionsError);
    CHECK_THROWS_AS(ResnetSmall({.channels = 0}), OptionsError);
    CHECK_THROWS_AS(ResnetSmall({.blocks = 0}), OptionsError);
    CHECK_THROWS_AS(BasicBlock(3, 4, 0), OptionsError);
    CHECK_THROWS_AS(Vit({.classes = 0}), OptionsError);
    CHECK_THROWS_AS(Vit({.patch = 0}), OptionsError);
    CHECK_THROWS_AS(Vit({.depth = -1}), OptionsError);
    CHECK_THROWS_AS(Vit({.heads = 0}), OptionsError);
    CHECK_THROWS_AS(Vit({.depth = 2, .drop_path = 1}), OptionsError);
}

TEST_CASE("a model without numbers does not run, and is not converted to integers", "[nn][bad_input]") {
    OneLinear model;
    CHECK_THROWS_AS(model(Tensor::zeros({1, 3})).data<float>(), ShapeError);
    CHECK_THROWS_AS(model.convert(Dtype::i64), DtypeError);
    CHECK_THROWS_AS(model.convert(Dtype::bf16), DtypeError);
    model.initialize(1);
    CHECK_THROWS_AS(model.convert(Dtype::u8), DtypeError);
    CHECK(model.fc(Tensor::zeros({1, 3})).dtype() == Dtype::f32);
    CHECK_THROWS_AS(model(Tensor::zeros({1, 3}, Dtype::f64)), DtypeError);
    CHECK_THROWS_AS(model.freeze(""), OptionsError);
    CHECK_THROWS_AS(model.load({{"fc.weight", Tensor()}, {"fc.bias", Tensor::zeros({2})}}), FormatError);
    CHECK_THROWS_AS(initial_value(zeros(), {{2}, Dtype::i64, kCpu}, 1, "x"), DtypeError);
    CHECK_THROWS_AS(initial_value(he_normal(), {{}, Dtype::f32, kCpu}, 1, "x"), ShapeError);
    CHECK_THROWS_AS(summary(model, Shape{1, 4}), ShapeError);
    CHECK_THROWS_AS(summary(model, Shape{}), ShapeError);
}

TEST_CASE("optimizers refuse options out of their range", "[nn][optimizers][bad_input]") {
    OneLinear model;
    model.initialize(1);
    const Tensors gradients{Tensor::zeros({2, 3}), Tensor::zeros({2})};
    CHECK_THROWS_AS(Sgd(model, {.lr = kInfinity}), OptionsError);
    CHECK_THROWS_AS(Sgd(model, {.weight_decay = -1}), OptionsError);
    CHECK_THROWS_AS(Sgd(model, {}, {{.pattern = "*", .lr_factor = -1}}), OptionsError);
    CHECK_THROWS_AS(Sgd(model, {}, {{.pattern = "*", .weight_decay = kNan}}), OptionsError);
    CHECK_THROWS_AS(Sgd(model, {.momentum = -1}).step(gradients), OptionsError);
    CHECK_THROWS_AS(Sgd(model, {.momentum = kNan}).step(gradients), OptionsError);
    CHECK_THROWS_AS(Sgd(model, {.momentum = 0.9, .dampening = 0.5, .nesterov = true}).step(gradients),
                    OptionsError);
    CHECK_THROWS_AS(Adam(model, {.lr = kNan}), OptionsError);
    CHECK_THROWS_AS(Adam(model, {.beta1 = 1}).step(gradients), OptionsError);
    CHECK_THROWS_AS(Adam(model, {.beta2 = -0.1}).step(gradients), OptionsError);
    CHECK_THROWS_AS(Adam(model, {.eps = -1}).step(gradients), OptionsError);
    CHECK_THROWS_AS(AdamW(model, {.weight_decay = kNan}), OptionsError);
    Sgd optimizer(model);
    CHECK_THROWS_AS(optimizer.set_learning_rate(-1), OptionsError);
    CHECK_THROWS_AS(optimizer.set_learning_rate(kInfinity), OptionsError);
    CHECK_THROWS_AS(optimizer.step({Tensor::abstract({{2, 3}, Dtype::f32, kCpu}), gradients[1]}), ShapeError);
    CHECK_THROWS_AS(optimizer.restore({}), FormatError);
    CHECK_THROWS_AS(WeightAverage(model, -0.1), OptionsError);
    CHECK_THROWS_AS(WeightAverage(model, kNan), OptionsError);
    CHECK_THROWS_AS(WeightAverage(model).restore({}), FormatError);
    CHECK_THROWS_AS(clip_by_norm(gradients, -1), OptionsError);
    CHECK_THROWS_AS(clip_by_norm(gradients, kNan), OptionsError);
    CHECK_THROWS_AS(clip_by_norm({Tensor()}, 1), ShapeError);
    CHECK_THROWS_AS(clip_by_norm({Tensor::zeros({2}, Dtype::i64)}, 1), DtypeError);
    CHECK_THROWS_AS(clip_by_value(gradients, kNan), OptionsError);
    CHECK_THROWS_AS(clip_by_value({Tensor()}, 1), ShapeError);

    OneLinear without_numbers;
    Sgd early(without_numbers);
    CHECK_THROWS_AS(early.step(gradients), ShapeError);
}

TEST_CASE("schedules refuse numbers out of their range", "[nn][bad_input]") {
    CHECK_THROWS_AS(constant_schedule(kNan), OptionsError);
    CHECK_THROWS_AS(step_schedule(-1, 3, 0.5), OptionsError);
    CHECK_THROWS_AS(step_schedule(1, 3, -0.5), OptionsError);
    CHECK_THROWS_AS(cosine_schedule({.lr = -1}), OptionsError);
    CHECK_THROWS_AS(cosine_schedule({.steps = 0}), OptionsError);
    CHECK_THROWS_AS(cosine_schedule({.steps = 4, .warm_up = -1}), OptionsError);
    CHECK_THROWS_AS(cosine_schedule({.last = kNan}), OptionsError);
    CHECK_THROWS_AS(PlateauTracker(1, kNan), OptionsError);
    CHECK_THROWS_AS(ReduceOnPlateau({.factor = -0.1}), OptionsError);
    CHECK_THROWS_AS(ReduceOnPlateau({.patience = 0}), OptionsError);
    CHECK_THROWS_AS(ReduceOnPlateau({.cooldown = -1}), OptionsError);
    CHECK_THROWS_AS(ReduceOnPlateau({.min_lr = -1}), OptionsError);
}

TEST_CASE("a classifier refuses batches that are none", "[nn][bad_input]") {
    ModelCard card{.architecture = "mlp", .options = complete_options("mlp"), .classes = {}, .training = {}};
    LoadedModel loaded{make_model("mlp"), card};
    loaded.model->initialize(1);
    ModelClassifier classifier(std::move(loaded));
    const Tensor images = Tensor::zeros({2, 28, 28, 3});
    CHECK(classifier.logits({.images = images}).shape() == Shape{2, 5});
    CHECK_THROWS_AS(classifier.vjp(Tensor()), ShapeError);
    CHECK_THROWS_AS(classifier.logits({.images = Tensor::zeros({2, 28, 28, 3}, Dtype::u8)}), DtypeError);
    CHECK_THROWS_AS(classifier.logits({.images = Tensor::zeros({2, 28, 28, 3}, Dtype::f64)}), DtypeError);
    CHECK_THROWS_AS(classifier.logits({.images = Tensor::zeros({28, 28, 3})}), ShapeError);
    CHECK_THROWS_AS(classifier.logits({.images = images, .ids = {1}}), ShapeError);
}
