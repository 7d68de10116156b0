#include "autograd/image_plan.hpp"

#include "autograd/ops/arithmetic.hpp"
#include "autograd/ops/control.hpp"
#include "autograd/ops/elementwise.hpp"
#include "autograd/ops/linear.hpp"
#include "autograd/ops/pooling.hpp"
#include "autograd/ops/reductions.hpp"
#include "autograd/ops/shaping.hpp"
#include "autograd/plan/fuse.hpp"
#include "autograd/samples.hpp"
#include "autograd/tape.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <sstream>

using namespace microtome;
using Catch::Contains;

namespace {

Tensor numbers(const Shape& shape, uint64_t seed, double low = -1, double high = 1) {
    return cast(uniform(shape, low, high, seed), Dtype::f32);
}

// What an attack asks for.
struct Answers {
    Tensor logits, gradient;
};

using Model = std::function<Tensor(const Tensor&)>;
using Function = std::function<Tensors(const Tensor&)>;

Answers on_the_tape(const Model& model, const Tensor& x, const Tensor& dlogits) {
    Tape tape;
    tape.watch(x);
    const Tensor logits = model(x);
    return {logits, tape.vjp({logits}, {dlogits}, {x})[0]};
}

ImagePlan plan_of(const Model& model, const Tensor& x, const ImagePlanOptions& options = {}) {
    return ImagePlan(
        {x.shape().with(0, 1), x.dtype()}, {}, {}, [model](const Tensors& in) { return model(in[0]); },
        options);
}

Answers planned(const Model& model, const Tensor& x, const Tensor& dlogits, const ImagePlanOptions& options) {
    ImagePlan plan = plan_of(model, x, options);
    const Tensor logits = plan.logits({x});
    return {logits, plan.vjp(dlogits)};
}

std::string printed(const Model& model, const Tensor& x, const ImagePlanOptions& options = {}) {
    std::ostringstream text;
    plan_of(model, x, options).print(text);
    return text.str();
}

int count(const std::string& text, const std::string& part) {
    int result = 0;
    for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++result;
    return result;
}

double largest(const Tensor& x) {
    double result = 0;
    for (float value : x.data<float>()) result = std::max(result, static_cast<double>(std::abs(value)));
    return result;
}
double largest_difference(const Tensor& a, const Tensor& b) {
    return largest(a - b);
}

// The largest rounding of the faster kernels, relative to the largest element.
constexpr double kRounding = 2e-5;

// A function of images small enough to be checked in every way, and what its plan is made of.
struct Rule {
    std::string name;
    Shape image;  // (1, H, W, C)
    Model model;
    std::vector<std::pair<std::string, int>> steps;  // how often a step's name is printed
};

// Each rule of fusion, and what it must leave alone.
std::vector<Rule> rules() {
    const Tensor w3 = numbers({5, 3, 3, 3}, 1), w5 = numbers({5, 3, 3, 5}, 2), w1 = numbers({5, 1, 1, 3}, 3);
    const Tensor b = numbers({5}, 4), scale = numbers({5}, 5), shift = numbers({5}, 6);
    const ConvOptions same{.pad_top = 1, .pad_bottom = 1, .pad_left = 1, .pad_right = 1};
    auto logits = [](const Tensor& y) { return sum(y, {1, 2}); };
    const Shape image{1, 7, 9, 3};
    std::vector<Rule> rules;
    auto rule = [&](std::string name, Model model, std::vector<std::pair<std::string, int>> steps) {
        rules.push_back({std::move(name), image, std::move(model), std::move(steps)});
    };
    rule("a convolution", [=](const Tensor& x) { return logits(conv2d(x, w3)); },
         {{"conv_stage ", 1}, {"conv_stage_gradient", 1}});
    rule("bias", [=](const Tensor& x) { return logits(conv2d(x, w3) + b); }, {{" add ", 0}});
    rule("bias and ReLU", [=](const Tensor& x) { return logits(relu(conv2d(x, w3) + b)); },
         {{"relu  ", 0}, {"apply_gate", 0}});
    rule("ReLU and pooling",
         [=](const Tensor& x) { return logits(max_pool2d(relu(conv2d(x, w3, same) + b))); },
         {{"max_pool2d", 0}, {"max_unpool2d", 0}, {"apply_gate", 0}, {"conv_stage ", 1}});
    rule("two stages, pooled",
         [=](const Tensor& x) {
             const Tensor y = max_pool2d(relu(conv2d(x, w3, same) + b));
             return logits(max_pool2d(relu(conv2d(y, w5, same))));
         },
         {{"max_pool2d", 0}, {"max_unpool2d", 0}, {"apply_gate", 0}});
    rule("pooling alone", [=](const Tensor& x) { return logits(max_pool2d(conv2d(x, w3))); },
         {{"max_pool2d [", 1}, {"max_unpool2d", 1}});
    rule("pooling that is not 2x2",
         [=](const Tensor& x) {
             return logits(max_pool2d(relu(conv2d(x, w3)), {.kernel_h = 3, .kernel_w = 3}));
         },
         {{"max_pool2d [", 1}, {"relu=true", 2}});
    rule("pooling of a ReLU that is read again",
         [=](const Tensor& x) {
             const Tensor y = relu(conv2d(x, w3));
             return logits(max_pool2d(y)) + logits(y);
         },
         {{"max_pool2d [", 1}});
    rule("a residual",
         [=](const Tensor& x) {
             const Tensor y = relu(conv2d(x, w3, same));
             return logits(relu(conv2d(y, w5, same) + b + y));
         },
         {{"residual=true", 1}});
    rule("a residual in front",
         [=](const Tensor& x) {
             const Tensor y = relu(conv2d(x, w3, same));
             return logits(y + conv2d(y, w5, same));
         },
         {{"residual=true", 1}});
    rule("a projected residual",
         [=](const Tensor& x) { return logits(relu(conv2d(x, w3, same) + conv2d(x, w1))); },
         {{"residual=true", 1}, {"conv_stage ", 2}});
    rule("twice itself",
         [=](const Tensor& x) {
             const Tensor y = conv2d(x, w3);
             return logits(y + y);
         },
         {{"residual=true", 0}});
    rule("scaled channels",
         [=](const Tensor& x) { return logits(relu(multiply_add(conv2d(x, w3), scale, shift))); },
         {{"multiply", 0}});
    rule("bias and scaled channels",
         [=](const Tensor& x) { return logits(relu(multiply_add(conv2d(x, w3) + b, scale, shift))); },
         {{"multiply", 0}});
    rule("scaled channels of a convolution that is read again",
         [=](const Tensor& x) {
             const Tensor y = conv2d(x, w3);
             return logits(multiply_add(y, scale, shift)) + logits(y);
         },
         {{"multiply_add", 1}});
    rule("a product with a matrix",
         [=, w = numbers({105, 4}, 7), v = numbers({4}, 8)](const Tensor& x) {
             return matmul(flatten(conv2d(x, numbers({3, 3, 3, 3}, 9), ConvOptions{})), w) + v;
         },
         {{"linear_stage", 2}, {" add ", 0}});
    rule("a product along the last axis, with a residual",
         [=, w = numbers({3, 3}, 7), v = numbers({3}, 8)](const Tensor& x) {
             const Tensor rows = reshape(x, Shape{x.size(0) * 63, 3});
             const Tensor y = reshape(matmul(rows, w), x.shape()) + v + x;
             return logits(y * y);
         },
         {{"linear_stage", 2}, {" add ", 1}});
    rule("a product with a matrix of the image",
         [=](const Tensor& x) {
             const Tensor y = reshape(x, Shape{x.size(0), 63, 3});
             return sum(matmul(transpose(y), y), {1});
         },
         {{"linear_stage", 0}});
    return rules;
}

}  // namespace

TEST_CASE("fused, exactly: the tape's bits", "[image_plan]") {
    for (const Rule& rule : rules()) {
        INFO(rule.name);
        for (int64_t n : {0, 1, 2, 5}) {
            const Tensor x = numbers(rule.image.with(0, n), 11);
            const Tensor dlogits = numbers({n, rule.model(x).size(1)}, 12);
            const Answers expected = on_the_tape(rule.model, x, dlogits);
            for (int64_t at_once : {0, 1, 2, 3})
                for (int threads : {1, 2}) {
                    INFO(n << " images, " << at_once << " at once, " << threads << " threads");
                    ThreadLimit limit(threads);
                    const Answers got =
                        planned(rule.model, x, dlogits, {.exact = true, .images_at_once = at_once});
                    CHECK(identical(got.logits, expected.logits));
                    CHECK(identical(got.gradient, expected.gradient));
                }
        }
    }
}

TEST_CASE("fused and folded: the tape's numbers but for rounding, the same in any batch", "[image_plan]") {
    for (const Rule& rule : rules()) {
        INFO(rule.name);
        const Tensor x = numbers(rule.image.with(0, 5), 11);
        const Tensor dlogits = numbers({5, rule.model(x).size(1)}, 12);
        const Answers expected = on_the_tape(rule.model, x, dlogits);
        const Answers got = planned(rule.model, x, dlogits, {});
        CHECK(largest_difference(got.logits, expected.logits) <= kRounding * largest(expected.logits));
        CHECK(largest_difference(got.gradient, expected.gradient) <= kRounding * largest(expected.gradient));
        const Answers other = planned(rule.model, x, dlogits, {.images_at_once = 3});
        CHECK(identical(got.logits, other.logits));
        CHECK(identical(got.gradient, other.gradient));
    }
}

TEST_CASE("what is fused, and what is left alone", "[image_plan]") {
    for (const Rule& rule : rules()) {
        const std::string text = printed(rule.model, numbers(rule.image, 11));
        INFO(rule.name << '\n' << text);
        for (const auto& [name, times] : rule.steps) {
            INFO(name);
            CHECK(count(text, name) == times);
        }
        CHECK(count(text, " conv2d [") == 0);
        CHECK(count(text, "conv2d_input_gradient") == 0);
    }
}

TEST_CASE("what somebody else reads is not fused away", "[image_plan]") {
    const Tensor w = numbers({5, 3, 3, 3}, 1);
    // The steps left of a function of x once it is fused, all of whose results are still made.
    const auto fused = [&](const Function& function) {
        plan::Tracer tracer;
        const Tensor x = Tensor::abstract({{1, 8, 8, 3}, Dtype::f32, kCpu});
        const int input = tracer.value(x);
        std::vector<int> results;
        {
            ObserveOps observe(tracer);
            for (const Tensor& result : function(x)) results.push_back(tracer.value(result));
        }
        plan::Graph graph = tracer.finish({input}, results);
        plan::Prepared prepared;
        plan::fuse(graph, true, prepared);
        for (int result : results) {
            int makers = 0;
            for (const plan::Step& step : graph.steps)
                makers += static_cast<int>(std::count(step.outputs.begin(), step.outputs.end(), result));
            CHECK(makers == 1);
        }
        return graph.steps.size();
    };
    CHECK(fused([&](const Tensor& x) { return Tensors{max_pool2d(relu(conv2d(x, w)))}; }) == 1);
    CHECK(fused([&](const Tensor& x) {
              const Tensor y = conv2d(x, w);
              return Tensors{y, relu(y)};
          }) == 2);
    CHECK(fused([&](const Tensor& x) {
              const Tensor y = relu(conv2d(x, w));
              return Tensors{y, max_pool2d(y)};
          }) == 2);
}

TEST_CASE("an image plan's gradient may be asked for again", "[image_plan]") {
    const Rule rule = rules()[8];
    const Tensor x = numbers(rule.image.with(0, 3), 11);
    ImagePlan plan = plan_of(rule.model, x, {.exact = true});
    CHECK_THROWS_WITH(plan.vjp(Tensor::zeros({3, 5})), Contains("logits() before"));
    plan.logits({x});
    for (uint64_t seed : {1, 2, 1}) {
        const Tensor dlogits = numbers({3, 5}, seed);
        CHECK(identical(plan.vjp(dlogits), on_the_tape(rule.model, x, dlogits).gradient));
    }
    // Another batch, larger and smaller, by the same plan.
    for (int64_t n : {7, 1}) {
        const Tensor other = numbers(rule.image.with(0, n), 13), dlogits = numbers({n, 5}, 14);
        const Answers expected = on_the_tape(rule.model, other, dlogits);
        CHECK(identical(plan.logits({other}), expected.logits));
        CHECK(identical(plan.vjp(dlogits), expected.gradient));
    }
    CHECK(plan.kept_bytes() > 0);
}

TEST_CASE("an image plan keeps filters as its kernels read them, and not as they were scaled",
          "[image_plan]") {
    const Tensor w = numbers({512, 1, 1, 512}, 1), scale = numbers({512}, 2), shift = numbers({512}, 3);
    const Model model = [&](const Tensor& x) {
        return sum(multiply_add(conv2d(x, w), scale, shift), {1, 2});
    };
    const Tensor x = numbers({5, 2, 2, 512}, 4);
    const std::size_t held = memory_use().current, filters = w.spec().bytes();
    ImagePlan plan = plan_of(model, x, {.images_at_once = 2});
    CHECK(memory_use().current - held < 5 * filters / 2);  // once forward, once back
    const Tensor logits = plan.logits({x});  // traced anew for the one image left over, of the same filters
    const Tensor gradient = plan.vjp(logits);
    CHECK(memory_use().current - held < 3 * filters);
    CHECK(identical(plan.vjp(logits), planned(model, x, logits, {.images_at_once = 5}).gradient));
}

TEST_CASE("an image plan notices what was written to since", "[image_plan]") {
    Tensor w = numbers({4, 3, 3, 3}, 1);
    const Model model = [&](const Tensor& x) { return sum(conv2d(x * x, w), {1, 2}); };
    Tensor x = numbers({2, 5, 5, 3}, 2);
    ImagePlan plan = plan_of(model, x);
    plan.logits({x});
    x.mutable_data<float>()[0] = 3;  // which the gradient of x * x reads
    CHECK_THROWS_WITH(plan.vjp(Tensor::zeros({2, 4})), Contains("written to between"));
    CHECK(plan.is_current());
    w.mutable_data<float>()[0] = 3;
    CHECK_FALSE(plan.is_current());
    CHECK_THROWS_WITH(plan.logits({x}), Contains("written to since"));
    CHECK_THROWS_AS(plan.vjp(Tensor::zeros({2, 4})), TapeError);
}

TEST_CASE("an image plan takes further inputs, per image and shared", "[image_plan]") {
    auto model = [](const Tensors& in) { return sum(in[0] * in[1], {1}) * in[2]; };
    const Tensor x = numbers({5, 3, 2}, 1), weights = numbers({5, 1, 2}, 2), factor = Tensor::full({}, 2);
    ImagePlan plan({{1, 3, 2}}, {{{1, 1, 2}}}, {factor.spec()}, model, {.images_at_once = 2});
    Tape tape;
    tape.watch(x);
    const Tensor expected = model({x, weights, factor}), dlogits = numbers({5, 2}, 3);
    CHECK(identical(plan.logits({x, weights, factor}), expected));
    CHECK(identical(plan.vjp(dlogits), tape.vjp({expected}, {dlogits}, {x})[0]));

    CHECK_THROWS_WITH(plan.logits({x}), Contains("expected 3 inputs"));
    CHECK_THROWS_WITH(plan.logits({x, numbers({4, 1, 2}, 2), factor}), Contains("as input 1"));
    CHECK_THROWS_AS(plan.logits({numbers({5, 3, 3}, 1), weights, factor}), ShapeError);
    CHECK_THROWS_AS(plan.logits({Tensor(), weights, factor}), ShapeError);
    plan.logits({x, weights, factor});
    CHECK_THROWS_AS(plan.vjp(numbers({4, 2}, 3)), ShapeError);
    CHECK_THROWS_AS(ImagePlan({{2, 3, 2}}, {}, {}, model), ShapeError);
    CHECK_THROWS_AS(ImagePlan({{1, 3, 2}}, {}, {}, [](const Tensors& in) { return sum(in[0], {0}); }),
                    ShapeError);
    CHECK_THROWS_AS(ImagePlan({{1, 3, 2}}, {}, {},
                              [](const Tensors&) {
                                  return Tensor::zeros({1, 4});
                              }),
                    TapeError);
    CHECK_THROWS_AS(ImagePlan({{1, 3, 2}}, {{{1, 1, 2}}}, {factor.spec()}, model, {.images_at_once = -1}),
                    OptionsError);
}
