#include "nn/module.hpp"

#include "autograd/ops/arithmetic.hpp"
#include "autograd/ops/losses.hpp"
#include "autograd/ops/reductions.hpp"
#include "autograd/tape.hpp"
#include "nn/layers.hpp"
#include "nn/normalization.hpp"
#include "nn/optimizers.hpp"
#include "nn/pattern.hpp"
#include "nn/preprocess.hpp"
#include "nn/summary.hpp"
#include "tensor/hash.hpp"
#include "tests/nn/model_test_support.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <sstream>

using namespace microtome;
using Catch::Contains;

namespace {

// Two blocks and a head, small enough to follow.
class Small : public Module {
  public:
    std::string_view kind() const override { return "Small"; }

  private:
    Tensor forward(const Tensor& x, const Pass& pass) override {
        return head_(pool_(body_(x, pass), pass), pass);
    }
    static void fill(Sequential& body) {
        body.then<Conv2d>(3, 4, Conv2dOptions{.padding = 1}).then<BatchNorm>(4).then<Relu>();
    }
    Sequential& body_ = [this]() -> Sequential& {
        auto& body = add<Sequential>("body");
        fill(body);
        return body;
    }();
    Module& pool_ = add<GlobalAveragePool>("pool");
    Linear& head_ = add<Linear>("head", 4, 2);
};

std::vector<std::string> names(const std::vector<NamedParameter>& parameters) {
    std::vector<std::string> result;
    for (const NamedParameter& named : parameters) result.push_back(named.name);
    return result;
}

}  // namespace

TEST_CASE("patterns cover names and what lies below", "[nn][module]") {
    CHECK(matches("layer1", "layer1.0.conv1.weight"));
    CHECK(matches("layer1", "layer1"));
    CHECK_FALSE(matches("layer1", "layer10.weight"));
    CHECK(matches("layer?", "layer1.weight"));
    CHECK(matches("*", "anything.at.all"));
    CHECK(matches("*.bias", "layer1.0.bias"));
    CHECK_FALSE(matches("*.bias", "layer1.0.bias2"));
    CHECK(matches("a*b*c", "axxbyybzc"));
    CHECK_FALSE(matches("a*b*c", "axxbyybz"));
    CHECK_FALSE(matches("", "x"));
    CHECK(matches("", ""));
}

TEST_CASE("parameters come in the order of declaration under PyTorch's names", "[nn][module]") {
    Small model;
    CHECK(names(model.named_parameters()) ==
          std::vector<std::string>{"body.0.weight", "body.0.bias", "body.1.weight", "body.1.bias",
                                   "body.1.running_mean", "body.1.running_var", "head.weight", "head.bias"});
    CHECK(names(model.trainable()) == std::vector<std::string>{"body.0.weight", "body.0.bias",
                                                               "body.1.weight", "body.1.bias", "head.weight",
                                                               "head.bias"});
    CHECK(model.parameter_count() == 108 + 4 + 16 + 8 + 2);
    CHECK(model.trainable_count() == model.parameter_count() - 8);
    CHECK(model.parameters().size() == 6);
    CHECK(model.parameters()[0].is_abstract());
    model.initialize(1);
    CHECK_FALSE(model.parameters()[0].is_abstract());
    CHECK(model.parameters()[0].id() == model.parameters()[0].id());
}

TEST_CASE("a weight's start depends on seed and name alone", "[nn][module]") {
    Sequential a, b;
    a.then<Linear>(5, 4).then<Linear>(4, 3);
    b.then<Linear>(5, 4).then<Linear>(4, 3).then<Linear>(3, 2);
    b.initialize(7);
    a.initialize(6);
    CHECK(test::state_hash(a) != test::state_hash(b));
    a.initialize(7);
    NamedTensors state = b.state();
    for (const NamedTensor& entry : a.state()) {
        auto same = std::find_if(state.begin(), state.end(), [&](auto& e) { return e.name == entry.name; });
        REQUIRE(same != state.end());
        CHECK(identical(entry.tensor, same->tensor));
    }
    CHECK_FALSE(identical(state[1].tensor, state[3].tensor));
}

TEST_CASE("laws of the first weights", "[nn][module]") {
    auto draw = [](const Initializer& law, const Shape& shape) {
        return initial_value(law, {shape, Dtype::f32, kCpu}, 3, "weight");
    };
    auto moments = [](const Tensor& x) {
        double sum = 0, squares = 0, largest = 0;
        for (float element : x.data<float>()) {
            sum += element;
            squares += static_cast<double>(element) * element;
            largest = std::max(largest, std::abs(static_cast<double>(element)));
        }
        const double n = static_cast<double>(x.elements());
        return std::array{sum / n, std::sqrt(squares / n), largest};
    };
    const Shape filters{40, 3, 3, 30};  // fan_in 270, fan_out 360
    struct Case {
        Initializer law;
        double deviation, bound;
    };
    const double uniform_share = std::sqrt(1.0 / 3);
    for (const auto& [law, deviation, bound] :
         {Case{glorot_uniform(), std::sqrt(6.0 / 630) * uniform_share, std::sqrt(6.0 / 630)},
          Case{he_uniform(), std::sqrt(6.0 / 270) * uniform_share, std::sqrt(6.0 / 270)},
          Case{pytorch_uniform(), std::sqrt(1.0 / 270) * uniform_share, std::sqrt(1.0 / 270)},
          Case{uniform_within(0.5), 0.5 * uniform_share, 0.5}, Case{he_normal(), std::sqrt(2.0 / 270), 1},
          Case{he_normal(Fan::out), std::sqrt(2.0 / 360), 1}, Case{normal(0.02), 0.02, 0.2},
          Case{truncated_normal(0.02), 0.02 * 0.8796256610342398, 0.04}}) {
        auto [mean, spread, largest] = moments(draw(law, filters));
        CHECK(std::abs(mean) < 0.05 * deviation);
        CHECK(spread == Approx(deviation).epsilon(0.03));
        CHECK(largest <= bound);
        if (law.law != Initializer::Law::normal) CHECK(largest > 0.99 * bound);
    }
    CHECK(draw(ones(), {3}).data<float>()[2] == 1);
    CHECK(draw(zeros(), {3}).data<float>()[2] == 0);
    CHECK(draw(he_normal(), {0, 3}).elements() == 0);
    CHECK_THROWS_WITH(draw(glorot_uniform(), {3}), Contains("fan"));

    Tensor single = draw(he_normal(), filters);
    Tensor twice = initial_value(he_normal(), {filters, Dtype::f64, kCpu}, 3, "weight");
    for (int64_t i = 0; i < single.elements(); ++i)
        REQUIRE(static_cast<double>(single.data<float>()[i]) == twice.data<double>()[i]);
}

TEST_CASE("layers compute what their formulas say", "[nn][module]") {
    SECTION("Linear, on rows and on a single vector") {
        Linear linear(2, 3);
        linear.load({{"weight", Tensor::of({1.f, 2.f, 3.f, 4.f, 5.f, 6.f}, {3, 2})},
                     {"bias", Tensor::of({.5f, 0.f, -1.f}, {3})}});
        Tensor y = linear(Tensor::of({1.f, 10.f}, {2}));
        CHECK(identical(y, Tensor::of({21.5f, 43.f, 64.f}, {3})));
        CHECK(identical(linear(Tensor::of({1.f, 10.f}, {1, 1, 2})),
                        Tensor::of({21.5f, 43.f, 64.f}, {1, 1, 3})));
        CHECK_THROWS_WITH(linear(Tensor::zeros({2, 3})), Contains("2 elements along the last axis"));
    }
    SECTION("Conv2d reads files in PyTorch's layout") {
        Conv2d conv(2, 1, {.kernel = 2, .bias = false});
        // (O, C, H, W): channel 0 sums the window, channel 1 takes its last pixel times 10.
        conv.load({{"weight", Tensor::of({1.f, 1.f, 1.f, 1.f, 0.f, 0.f, 0.f, 10.f}, {1, 2, 2, 2})}});
        Tensor x = Tensor::of({1.f, .1f, 2.f, .2f, 3.f, .3f, 4.f, .4f}, {1, 2, 2, 2});  // NHWC
        CHECK(conv(x).item() == Approx(10 + 4));
        CHECK(conv.state()[0].tensor.shape() == Shape{1, 2, 2, 2});
        CHECK(conv.state()[0].tensor.data<float>()[7] == 10);
    }
    SECTION("Linear behind Flatten reads columns in PyTorch's order") {
        Linear linear(4, 1, {.bias = false, .images = {1, 2, 2}});
        linear.load({{"weight", Tensor::of({1.f, 2.f, 3.f, 4.f}, {1, 4})}});  // (C, H, W): c0 1 2, c1 3 4
        Tensor x = Tensor::of({1.f, 10.f, 100.f, 1000.f}, {1, 4});            // (H, W, C)
        CHECK(linear(x).item() == 1 * 1 + 3 * 10 + 2 * 100 + 4 * 1000);
        CHECK(identical(linear.state()[0].tensor, Tensor::of({1.f, 2.f, 3.f, 4.f}, {1, 4})));
        CHECK_THROWS_AS(Linear(4, 1, {.images = {1, 2, 3}}), ShapeError);
    }
    SECTION("pooling, flattening, a shortcut") {
        Tensor x = Tensor::of({1.f, 2.f, 3.f, 4.f, 5.f, 6.f, 7.f, 8.f, 9.f}, {1, 3, 3, 1});
        CHECK(identical(MaxPool2d(2)(x), Tensor::of({5.f}, {1, 1, 1, 1})));
        CHECK(identical(GlobalAveragePool()(x), Tensor::of({5.f}, {1, 1})));
        CHECK(identical(AveragePool2d(2)(x), Tensor::of({3.f}, {1, 1, 1, 1})));
        CHECK(Sigmoid()(x).data<float>()[0] == Approx(1 / (1 + std::exp(-1))));
        CHECK(Tanh()(x).data<float>()[1] == Approx(std::tanh(2)));
        CHECK(Gelu()(x).data<float>()[0] == Approx(0.84134474606854));  // the normal distribution at 1
        CHECK(Relu6()(x).data<float>()[8] == 6);
        CHECK(Flatten()(x).shape() == Shape{1, 9});
        Residual twice;
        twice.then<Relu>();
        CHECK(identical(twice(Tensor::of({-1.f, 2.f}, {2})), Tensor::of({-1.f, 4.f}, {2})));
    }
    SECTION("sizes below 1") {
        CHECK_THROWS_AS(Linear(0, 3), OptionsError);
        CHECK_THROWS_AS(Conv2d(3, 4, {.groups = 2}), OptionsError);
        CHECK_THROWS_AS(Conv2d(3, 0), OptionsError);
        CHECK_THROWS_AS(MaxPool2d(0), OptionsError);
        CHECK_THROWS_AS(BatchNorm(0), OptionsError);
    }
}

TEST_CASE("batch norm records the batch's statistics by either convention", "[nn][module]") {
    // Channel 0: 1 2 3 4, mean 2.5, biased variance 1.25, unbiased 5/3. Channel 1 is 10 everywhere.
    Tensor x = Tensor::of({1., 10., 2., 10., 3., 10., 4., 10.}, {4, 2});
    auto check = [&](const BatchNormOptions& options, double mean, double variance) {
        BatchNorm norm(2, options);
        norm.initialize(1);
        norm.convert(Dtype::f64);
        const uint64_t before = test::state_hash(norm);
        norm(x);
        CHECK(test::state_hash(norm) == before);  // eval
        norm.train();
        norm(Tensor::abstract(x.spec()));
        CHECK(test::state_hash(norm) == before);  // nothing was calculated
        Tensor y = norm(x);
        CHECK(y.data<double>()[0] == Approx(-1.5 / std::sqrt(1.25 + options.eps)));
        NamedTensors state = norm.state();
        CHECK(state[2].tensor.data<double>()[0] == Approx(mean));
        CHECK(state[3].tensor.data<double>()[0] == Approx(variance));
        CHECK(state[2].tensor.data<double>()[1] == Approx(10 * options.new_weight));
        CHECK(state[3].tensor.data<double>()[1] == Approx(1 - options.new_weight));
        norm.eval();
        CHECK(norm(x).data<double>()[0] == Approx((1 - mean) / std::sqrt(variance + options.eps)));
        norm.train();
        norm.freeze("running_*");
        const uint64_t frozen = test::state_hash(norm);
        CHECK(norm(x).data<double>()[0] == Approx((1 - mean) / std::sqrt(variance + options.eps)));
        CHECK(test::state_hash(norm) == frozen);
    };
    check(kPytorchBatchNorm, 0.25, 0.9 + 0.1 * 5 / 3);
    check(kKerasBatchNorm, 0.025, 0.99 + 0.01 * 1.25);
}

TEST_CASE("running statistics reach the closed form after k batches", "[nn][module]") {
    BatchNorm norm(1, kKerasBatchNorm);
    norm.initialize(1);
    norm.convert(Dtype::f64);
    norm.train();
    for (int k = 0; k < 20; ++k) norm(Tensor::of({1., 3.}, {2, 1}));
    const double rest = std::pow(0.99, 20);
    CHECK(norm.state()[2].tensor.item() == Approx(2 * (1 - rest)));
    CHECK(norm.state()[3].tensor.item() == Approx(1));
}

TEST_CASE("one element a channel has variance 0", "[nn][module]") {
    BatchNorm norm(2);
    norm.initialize(1);
    norm.train();
    Tensor y = norm(Tensor::of({3.f, 4.f}, {1, 1, 1, 2}));
    CHECK(y.data<float>()[0] == 0);
    CHECK(norm.state()[3].tensor.data<float>()[0] == Approx(0.9));
}

TEST_CASE("what is frozen keeps every bit", "[nn][module]") {
    Small model;
    model.initialize(3);
    model.freeze("body");
    CHECK(names(model.trainable()) == std::vector<std::string>{"head.weight", "head.bias"});
    const NamedTensors before = model.state();

    model.train();
    Sgd optimizer(model, {.lr = 0.1});
    Tensor x = test::images({4, 5, 5, 3});
    Tensor labels = Tensor::of(std::vector<int64_t>{0, 1, 1, 0}, {4});
    for (int step = 0; step < 3; ++step) {
        Tape tape;
        tape.watch(model.parameters());
        Tensor loss = mean(cross_entropy(model(x), labels));
        optimizer.step(tape.gradient(loss, model.parameters()));
    }
    const NamedTensors after = model.state();
    for (std::size_t i = 0; i < after.size(); ++i) {
        INFO(after[i].name);
        CHECK(identical(before[i].tensor, after[i].tensor) == (i < 6));
    }
    model.freeze("body", false);
    CHECK(model.trainable().size() == 6);
    CHECK_THROWS_WITH(model.freeze("layer9"), Contains("layer9") && Contains("body.0.weight"));
}

TEST_CASE("a state that does not fit is refused whole", "[nn][module]") {
    Small model, other;
    model.initialize(1);
    other.initialize(2);
    const uint64_t before = test::state_hash(model);
    NamedTensors state = other.state();

    NamedTensors missing = state;
    missing.pop_back();
    CHECK_THROWS_WITH(model.load(missing), Contains("head.bias") && Contains("f32(2)") && Contains("none"));
    NamedTensors shaped = state;
    shaped[0].tensor = Tensor::zeros({4, 3, 3, 3}).view({4, 3, 9});
    CHECK_THROWS_WITH(model.load(shaped),
                      Contains("body.0.weight") && Contains("(4,3,3,3)") && Contains("(4,3,9)"));
    NamedTensors more = state;
    more.push_back({"extra", Tensor::zeros({1})});
    CHECK_THROWS_WITH(model.load(more), Contains("extra"));
    NamedTensors twice = state;
    twice.push_back(state[0]);
    CHECK_THROWS_WITH(model.load(twice), Contains("second body.0.weight"));
    NamedTensors typed = state;
    typed[1].tensor = Tensor::zeros({4}, Dtype::f64);
    CHECK_THROWS_AS(model.load(typed), FormatError);
    CHECK(test::state_hash(model) == before);

    Tensor weight = model.parameters()[0];
    model.load(state);
    CHECK(test::state_hash(model) == test::state_hash(other));
    CHECK(model.parameters()[0].id() == weight.id());  // an optimizer still holds it
}

TEST_CASE("images are checked, rescaled and normalised once, in the model", "[nn][module]") {
    Tensor x = Tensor::of({0.f, 0.25f, 0.5f, 1.f}, {1, 1, 2, 2});
    CHECK(identical(Preprocess({.height = 1, .width = 2, .channels = 2})(x), x));
    Tensor wide = Preprocess({.height = 1, .width = 2, .channels = 2, .low = -1, .high = 1})(x);
    CHECK(identical(wide, Tensor::of({-1.f, -0.5f, 0.f, 1.f}, {1, 1, 2, 2})));
    Tensor y = Preprocess(
        {.height = 1, .width = 2, .channels = 2, .high = 255, .mean = {100, 50}, .deviation = {50, 25}})(x);
    CHECK(y.data<float>()[0] == Approx(-2));
    CHECK(y.data<float>()[1] == Approx(0.55));
    CHECK(y.data<float>()[3] == Approx(8.2));
    Tensor larger = Preprocess({.height = 2, .width = 4, .channels = 2, .resize = true, .high = 2})(x);
    CHECK(larger.shape() == Shape{1, 2, 4, 2});
    CHECK(larger.data<float>()[2] == Approx(2 * (0.75 * 0 + 0.25 * 0.5)));  // half-pixel centres
    CHECK_THROWS_WITH(Preprocess({.height = 2, .width = 2})(x), Contains("(N,2,2,3)"));
    CHECK_THROWS_AS(Preprocess({.height = 2, .width = 2, .mean = {1}, .deviation = {1}}), OptionsError);
    CHECK_THROWS_AS(Preprocess({.height = 2, .width = 2, .channels = 1, .mean = {1}, .deviation = {0}}),
                    OptionsError);
    CHECK_THROWS_AS(Preprocess({.height = 2, .width = 2, .low = 1, .high = 1}), OptionsError);
    CHECK_THROWS_AS(Preprocess({.height = 0, .width = 2}), OptionsError);
}

TEST_CASE("a summary runs on shapes alone", "[nn][module]") {
    Small model;  // without numbers
    Summary table = summary(model, {2, 8, 6, 3});
    REQUIRE(table.rows.size() == 5);
    CHECK(table.rows[0].name == "body.0");
    CHECK(table.rows[0].kind == "Conv2d");
    CHECK(table.rows[0].output == Shape{2, 8, 6, 4});
    CHECK(table.rows[0].parameters == 112);
    CHECK(table.rows[0].multiply_adds == 2 * 8 * 6 * 4 * 27);
    CHECK(table.rows[1].parameters == 16);
    CHECK(table.rows[4].multiply_adds == 2 * 4 * 2);
    CHECK(table.multiply_adds == table.rows[0].multiply_adds + 16);
    CHECK(table.parameters == 138);
    std::ostringstream text;
    text << table;
    CHECK_THAT(text.str(), Contains("3 to 4, 3x3, padding 1") && Contains("(2,8,6,4)") &&
                               Contains("10,368") && Contains("130 of 138 parameters are trainable"));
}
