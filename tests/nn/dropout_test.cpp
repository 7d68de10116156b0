#include "nn/dropout.hpp"

#include "autograd/ops/arithmetic.hpp"
#include "autograd/ops/dropout.hpp"
#include "autograd/plan.hpp"
#include "autograd/tape.hpp"
#include "nn/layers.hpp"
#include "tests/nn/model_test_support.hpp"

#include <catch2/catch.hpp>

using namespace microtome;
using Catch::Contains;

namespace {

class TwoDrops : public Module {
  public:
    std::string_view kind() const override { return "TwoDrops"; }
    Sequential& body = add<Sequential>("body");
    TwoDrops() { body.then<Dropout>(0.5).then<Dropout>(0.5); }

  private:
    Tensor forward(const Tensor& x, const Pass& pass) override { return body(x, pass); }
};

double mean_of(const Tensor& x) {
    double sum = 0;
    for (float element : x.data<float>()) sum += element;
    return sum / static_cast<double>(x.elements());
}

}  // namespace

TEST_CASE("dropout keeps the mean and does nothing in eval mode", "[nn][dropout]") {
    Dropout drop(0.3);
    Tensor x = Tensor::full({20, 500}, 1);
    CHECK(identical(drop(x), x));
    drop.train();
    Tensor y = drop(x, {.seed = 1, .step = 0});
    int64_t zeros = 0;
    for (float element : y.data<float>()) {
        CHECK((element == 0 || element == 1 / 0.7f));
        zeros += element == 0;
    }
    CHECK(static_cast<double>(zeros) == Approx(3000).epsilon(0.05));
    CHECK(mean_of(y) == Approx(1).epsilon(0.03));

    Tape tape;
    tape.watch(x);
    Tensor again = drop(x, {.seed = 1, .step = 0});
    CHECK(identical(again, y));
    CHECK(identical(tape.gradient(again, x), y));  // linear in x, which is 1
    CHECK_FALSE(identical(drop(x, {.seed = 2, .step = 0}), y));
    CHECK_FALSE(identical(drop(x, {.seed = 1, .step = 1}), y));
    CHECK_FALSE(identical(drop(x, {.seed = 1, .step = 0, .restart = 1}), y));

    CHECK_THROWS_WITH(drop(x), Contains("says its step"));
    CHECK_THROWS_WITH(drop(x, {.step = 0, .ids = {1, 2}}), Contains("ids for 20"));
    CHECK(drop(Tensor::abstract(x.spec())).shape() == x.shape());
    CHECK_THROWS_AS(Dropout(1), OptionsError);
    CHECK_THROWS_AS(Dropout(-0.1), OptionsError);
}

TEST_CASE("what is dropped belongs to the sample, not to its place", "[nn][dropout]") {
    Dropout drop(0.5);
    DropPath path(0.5);
    drop.train();
    path.train();
    Tensor x = test::images({5, 3, 3, 2});
    for (Module* layer : {static_cast<Module*>(&drop), static_cast<Module*>(&path)}) {
        Tensor whole = (*layer)(x, {.seed = 4, .step = 7, .ids = {10, 11, 12, 13, 14}});
        Tensor later = (*layer)(test::part(x, 3, 5), {.seed = 4, .step = 7, .ids = {13, 14}});
        CHECK(identical(later, test::part(whole, 3, 5)));
    }
    TwoDrops two;
    two.train();
    Tensor ones = Tensor::full({4, 1000}, 1);
    // Layers draw for themselves: a quarter survives both, not a half.
    CHECK(mean_of(two(ones, {.step = 0})) == Approx(1).epsilon(0.1));
    int64_t kept = 0;
    for (float element : two(ones, {.step = 0}).data<float>()) kept += element != 0;
    CHECK(static_cast<double>(kept) == Approx(1000).epsilon(0.1));
}

TEST_CASE("drop path leaves out whole samples", "[nn][dropout]") {
    DropPath path(0.25);
    Tensor x = Tensor::full({400, 2, 3}, 3);
    CHECK(identical(path(x), x));
    path.train();
    Tensor y = path(x, {.seed = 3, .step = 0});
    int64_t dropped = 0;
    for (int64_t n = 0; n < 400; ++n) {
        const float first = y.data<float>()[n * 6];
        for (int64_t i = 0; i < 6; ++i) REQUIRE(y.data<float>()[n * 6 + i] == first);
        CHECK((first == 0 || first == 4));
        dropped += first == 0;
    }
    CHECK(static_cast<double>(dropped) == Approx(100).epsilon(0.2));
    CHECK_THROWS_AS(path(x), OptionsError);
    CHECK_THROWS_AS(DropPath(1.5), OptionsError);
}

namespace {

// Dropout between two layers, and a branch that is left out as a whole.
class DroppingNet : public Module {
  public:
    std::string_view kind() const override { return "DroppingNet"; }
    Linear& first = add<Linear>("first", 6, 40);
    Dropout& drop = add<Dropout>("drop", 0.5);
    Linear& second = add<Linear>("second", 40, 6);
    DropPath& path = add<DropPath>("path", 0.5);

  private:
    Tensor forward(const Tensor& x, const Pass& pass) override {
        return x + path(second(drop(first(x, pass), pass), pass), pass);
    }
};

Tensors output_and_gradient(Module& model, const Tensor& x, const Pass& pass) {
    Tape tape;
    tape.watch(x);
    Tensor y = model(x, pass);
    return {y, tape.gradient(y, x)};
}

}  // namespace

TEST_CASE("a plan with dropout draws by its inputs", "[nn][dropout][plan]") {
    DroppingNet model;
    model.initialize(1);
    model.train();
    const Tensor x = test::images({5, 6});
    const Spec key{{4}, Dtype::i64, kCpu}, ids{{5}, Dtype::i64, kCpu};
    Plan plan = Plan::trace({x.spec(), key, ids}, [&](const Tensors& in) {
        return output_and_gradient(model, in[0], {.key = in[1], .sample_ids = in[2]});
    });
    std::vector<Tensors> seen;
    for (int64_t step : {0, 1})
        for (int64_t restart : {0, 1})
            for (int64_t id : {0, 100}) {
                const Pass pass{
                    .seed = 3, .step = step, .restart = restart, .ids = {id, id + 1, id + 2, id + 3, id + 4}};
                const Tensors expected = output_and_gradient(model, x, pass);
                const Tensors got = plan.run({x,
                                              key_tensor({.seed = 3,
                                                          .restart = static_cast<uint32_t>(restart),
                                                          .step = static_cast<uint32_t>(step)}),
                                              Tensor::of(pass.ids, {5})});
                CHECK(identical(got[0], expected[0]));
                CHECK(identical(got[1], expected[1]));
                for (const Tensors& before : seen) {
                    CHECK_FALSE(identical(got[0], before[0]));
                    CHECK_FALSE(identical(got[1], before[1]));
                }
                seen.push_back(got);
            }
}

TEST_CASE("a plan that would draw the same for ever is refused", "[nn][dropout][plan]") {
    DroppingNet model;
    model.initialize(1);
    model.train();
    const Spec x{{2, 6}, Dtype::f32, kCpu};
    auto with = [&](const Pass& pass) {
        return [&model, pass](const Tensors& in) -> Tensors { return {model(in[0], pass)}; };
    };
    const Tensor key = key_tensor({.seed = 1});
    CHECK_THROWS_AS(Plan::trace({x}, with({.step = 0})), TapeError);
    CHECK_THROWS_AS(Plan::trace({x}, with({.ids = {4, 5}, .key = key})), TapeError);
    CHECK_NOTHROW(Plan::trace({x}, with({.key = key})));  // a key by hand is what was asked for

    const Tensor images = Tensor::zeros({2, 6});
    CHECK_THROWS_AS(model(images, {.key = Tensor::zeros({4})}), ShapeError);
    CHECK_THROWS_WITH(model(images, {.key = Tensor::zeros({3}, Dtype::i64)}), Contains("a key i64(4)"));
    CHECK_THROWS_AS(model(images, {.key = key, .sample_ids = Tensor::zeros({3}, Dtype::i64)}), ShapeError);
    CHECK_THROWS_AS(model(images, {.key = key, .sample_ids = Tensor::zeros({2})}), ShapeError);
}
