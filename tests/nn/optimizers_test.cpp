// Ten steps of each optimizer against tables worked out beside microtome, in double, from the formulas above
// each: p starts at 0.5, lr is 0.1, and the gradient of step t = 1, 2, ... is g = 0.3 t - 1.
#include "nn/optimizers.hpp"

#include "nn/layers.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

using namespace microtome;
using Catch::Contains;

namespace {

class Weights : public Module {
  public:
    explicit Weights(std::vector<std::string> names, Shape shape = {1}) {
        for (std::string& name : names) add_weight(std::move(name), shape, {.amount = 0.5});
        initialize(1);
    }
    std::string_view kind() const override { return "Weights"; }
    double first() const { return parameters()[0].data<double>()[0]; }

  private:
    Tensor forward(const Tensor& x, const Pass&) override { return x; }
};

Tensor gradient(int64_t t, Dtype dtype = Dtype::f64) {
    return Tensor::full({1}, 0.3 * static_cast<double>(t) - 1, dtype);
}

using Table = std::array<double, 10>;

template <class Rule, class Options>
void check_table(const Options& options, const Table& table) {
    for (Dtype dtype : {Dtype::f64, Dtype::f32}) {
        Weights model({"p"});
        model.convert(dtype);
        Rule optimizer(model, options);
        for (int64_t t = 1; t <= 10; ++t) {
            optimizer.step({gradient(t, dtype)});
            INFO("step " << t << ", " << dtype);
            Tensor p = model.parameters()[0];
            CHECK(p.item() == Approx(table[t - 1]).margin(dtype == Dtype::f64 ? 1e-12 : 1e-6));
        }
    }
}

}  // namespace

TEST_CASE("ten steps of SGD", "[nn][optimizers]") {
    SECTION("p -= lr (g + 0.01 p)") {
        check_table<Sgd>(
            SgdOptions{.lr = 0.1, .weight_decay = 0.01},
            {0.5695, 0.6089305, 0.6183215695, 0.5977032479305, 0.54710554468257, 0.46655843913789,
             0.35609188069875, 0.21573578881805, 0.045520053029232, -0.1545254670238});
    }
    SECTION("d = g + 0.01 p, v = d at first, then 0.9 v + (1 - 0.1) d, p -= lr v") {
        check_table<Sgd>(
            SgdOptions{.lr = 0.1, .momentum = 0.9, .dampening = 0.1, .weight_decay = 0.01},
            {0.5695, 0.66753745, 0.764170371295, 0.83245224712633, 0.84815672835212, 0.78952742039981,
             0.63705046856438, 0.37324786649077, -0.017510398455308, -0.54917707754817});
    }
    SECTION("Nesterov: d = g + 0.01 p, v = 0.9 v + d, p -= lr (d + 0.9 v)") {
        check_table<Sgd>(
            SgdOptions{.lr = 0.1, .momentum = 0.9, .weight_decay = 0.01, .nesterov = true},
            {0.63205, 0.763144105, 0.8632476707005, 0.90538753895112, 0.8653701069563, 0.7215250637428,
             0.4544724603258, 0.046910992133252, -0.5165744349108, -1.2496876079312});
    }
    SECTION("Keras: p -= lr 0.01 p, v = 0.9 v - lr g, p += v") {
        check_table<Sgd>(
            SgdOptions{.lr = 0.1, .momentum = 0.9, .weight_decay = 0.01, .convention = Convention::keras},
            {0.5695, 0.6719305, 0.7739585695, 0.8456146109305, 0.85995599631957, 0.79276434032325,
             0.62227304598293, 0.32892209593694, -0.10486263545899, -0.69486800119353});
    }
    SECTION("Keras with Nesterov: v = 0.9 v - lr g, p += 0.9 v - lr g") {
        check_table<Sgd>(
            SgdOptions{.lr = 0.1, .momentum = 0.9, .nesterov = true, .convention = Convention::keras},
            {0.633, 0.7657, 0.86813, 0.913317, 0.8769853, 0.73728677, 0.474558093, 0.0711022837,
             -0.48900794467, -1.220107150203});
    }
}

// m = 0.9 m + 0.1 g, v = 0.999 v + 0.001 g^2 in all of them.
TEST_CASE("ten steps of Adam and AdamW", "[nn][optimizers]") {
    SECTION("Adam: g += 0.01 p, p -= lr (m / (1 - 0.9^t)) / (sqrt(v / (1 - 0.999^t)) + 0.01)") {
        check_table<Adam>(
            AdamOptions{.lr = 0.1, .eps = 0.01, .weight_decay = 0.01},
            {0.59858156028369, 0.6919254909583, 0.77056877762208, 0.8185753762098, 0.82534672440352,
             0.79710276932962, 0.74562227080841, 0.67930402516475, 0.60304751019939, 0.5196858065093});
    }
    SECTION("Keras: p -= lr sqrt(1 - 0.999^t) / (1 - 0.9^t) m / (sqrt(v) + 0.01)") {
        check_table<Adam>(
            AdamOptions{.lr = 0.1, .eps = 0.01, .convention = Convention::keras},
            {0.56888219584313, 0.63718511457424, 0.69535021135612, 0.7318936001837, 0.73831743742755,
             0.71633960478917, 0.67311546412764, 0.61497794461103, 0.54619029232661, 0.46947839136045});
    }
    SECTION("AdamW: p -= lr 0.1 p first, then Adam's step with eps 1e-8") {
        check_table<AdamW>(
            AdamOptions{.lr = 0.1, .weight_decay = 0.1},
            {0.59499999857143, 0.68415362824036, 0.75813749053306, 0.80092938255181, 0.80143083776414,
             0.76592100890279, 0.70686171621881, 0.63322203255665, 0.5502310307471, 0.46090342557138});
    }
    SECTION("AdamW, Keras: p -= lr 0.1 p first, then Keras's step with eps 1e-7") {
        check_table<AdamW>(
            AdamOptions{.lr = 0.1, .eps = 1e-7, .weight_decay = 0.1, .convention = Convention::keras},
            {0.59499954824809, 0.68415281092235, 0.7581363682289, 0.8009280820381, 0.8014295228021,
             0.76591977558559, 0.70686059164678, 0.63322101493733, 0.55023011019132, 0.46090259117564});
    }
}

TEST_CASE("groups have rates and decays of their own", "[nn][optimizers]") {
    Weights model({"body", "head", "bias"});
    Sgd optimizer(model, {.lr = 0.5, .weight_decay = 0.1},
                  {{.pattern = "head", .lr_factor = 2}, {.pattern = "b*s", .weight_decay = 0}});
    Tensor g = Tensor::full({1}, 0.25);
    optimizer.step({g, g, g});
    CHECK(model.parameters()[0].item() == Approx(0.5 - 0.5 * (0.25 + 0.05)));
    CHECK(model.parameters()[1].item() == Approx(0.5 - 1.0 * (0.25 + 0.05)));
    CHECK(model.parameters()[2].item() == Approx(0.5 - 0.5 * 0.25));

    optimizer.set_learning_rate(0);
    Tensors before;
    for (const Tensor& p : model.parameters()) before.push_back(p.clone());
    optimizer.step({g, g, g});
    for (int i = 0; i < 3; ++i) CHECK(identical(before[i], model.parameters()[i]));

    CHECK_THROWS_WITH(Sgd(model, {}, {{.pattern = "tail"}}), Contains("tail"));
    CHECK_THROWS_WITH(Sgd(model, {}, {{.pattern = "*"}, {.pattern = "head"}}), Contains("precedence"));
    CHECK_THROWS_AS(Sgd(model, {.lr = -1}), OptionsError);
    CHECK_THROWS_AS(optimizer.set_learning_rate(std::numeric_limits<double>::quiet_NaN()), OptionsError);
}

TEST_CASE("gradients that do not fit move nothing", "[nn][optimizers]") {
    Weights model({"a", "b"}, {3});
    Adam optimizer(model);
    Tensor good = Tensor::full({3}, 1);
    Tensor before = model.parameters()[0].clone();
    CHECK_THROWS_WITH(optimizer.step({good}), Contains("each of 2 weights") && Contains("freezing"));
    CHECK_THROWS_WITH(optimizer.step({good, Tensor::full({4}, 1)}), Contains("for b, got f32(4)"));
    CHECK_THROWS_AS(optimizer.step({good, Tensor::full({3}, 1, Dtype::f64)}), ShapeError);
    CHECK_THROWS_AS(optimizer.step({good, Tensor()}), ShapeError);
    CHECK(identical(before, model.parameters()[0]));
    CHECK(optimizer.steps() == 0);
}

TEST_CASE("a restored optimizer continues bit for bit", "[nn][optimizers]") {
    auto run = [](bool interrupt) {
        Weights model({"a", "b"}, {5});
        auto optimizer = std::make_unique<Adam>(model, AdamOptions{.lr = 0.01});
        for (int64_t t = 1; t <= 8; ++t) {
            if (t == 5) optimizer->set_learning_rate(0.003);
            if (t == 6 && interrupt) {
                NamedTensors state = optimizer->state();
                optimizer = std::make_unique<Adam>(model, AdamOptions{.lr = 0.01});
                optimizer->restore(state);
            }
            const double g = 0.3 * static_cast<double>(t) - 1;
            optimizer->step({Tensor::full({5}, g), Tensor::full({5}, g * g)});
        }
        return model.state();
    };
    NamedTensors whole = run(false), parts = run(true);
    for (int i = 0; i < 2; ++i) CHECK(identical(whole[i].tensor, parts[i].tensor));

    Weights model({"a", "b"}, {5});
    Adam optimizer(model);
    NamedTensors fresh = optimizer.state();
    CHECK_NOTHROW(optimizer.restore(fresh));
    optimizer.step({Tensor::full({5}, 1), Tensor::full({5}, 1)});
    NamedTensors state = optimizer.state();
    state.pop_back();
    CHECK_THROWS_WITH(optimizer.restore(state), Contains("optimizer.square.b") && Contains("got none"));
    state = optimizer.state();
    state[2].tensor = Tensor::full({4}, 1);
    CHECK_THROWS_WITH(optimizer.restore(state), Contains("f32(5)") && Contains("f32(4)"));
}

TEST_CASE("gradients are clipped", "[nn][optimizers]") {
    Tensor a = Tensor::of({3.0f, 0.0f}, {2}), b = Tensor::of({-4.0f}, {1});
    ClippedGradients all = clip_by_norm({a, b}, 1);
    CHECK(all.norm == 5);
    CHECK(all.gradients[0].data<float>()[0] == Approx(0.6));
    CHECK(all.gradients[1].data<float>()[0] == Approx(-0.8));
    ClippedGradients none = clip_by_norm({a, b}, 5);
    CHECK(identical(none.gradients[0], a));
    CHECK(identical(none.gradients[1], b));
    Tensor broken = Tensor::of({std::numeric_limits<float>::infinity()}, {1});
    CHECK(std::isinf(clip_by_norm({a, broken}, 1).norm));
    CHECK(identical(clip_by_norm({a, broken}, 1).gradients[0], a));

    Tensors limited = clip_by_value({a, b}, 0.5);
    CHECK(limited[0].data<float>()[0] == 0.5f);
    CHECK(limited[0].data<float>()[1] == 0.0f);
    CHECK(limited[1].data<float>()[0] == -0.5f);
    CHECK_THROWS_AS(clip_by_value({a}, -1), OptionsError);
}

TEST_CASE("a running average of weights", "[nn][optimizers]") {
    Weights model({"p"});
    model.convert(Dtype::f64);
    WeightAverage average(model, 0.75, false);
    Tensor p = model.parameters()[0];
    p.copy_from(Tensor::full({1}, 1, Dtype::f64));
    average.update();  // 0.75 * 0.5 + 0.25 * 1
    p.copy_from(Tensor::full({1}, -1, Dtype::f64));
    average.update();  // 0.75 * 0.625 - 0.25
    average.swap();
    CHECK(p.item() == Approx(0.21875));
    CHECK(model.first() == p.item());
    average.swap();
    CHECK(p.item() == -1);

    WeightAverage other(model, 0.75, false);
    other.restore(average.state());
    other.swap();
    CHECK(p.item() == Approx(0.21875));

    WeightAverage warm(model, 0.999, true);
    p.copy_from(Tensor::full({1}, 1, Dtype::f64));
    warm.update();  // decay 2/11
    warm.swap();
    CHECK(p.item() == Approx(0.21875 * 2 / 11 + 9.0 / 11));
    CHECK_THROWS_AS(WeightAverage(model, 1), OptionsError);
}
