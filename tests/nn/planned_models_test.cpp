// Every architecture by the plan that attacks use, held against the tape.

#include "autograd/image_plan.hpp"
#include "autograd/tape.hpp"
#include "nn/models/registry.hpp"
#include "tests/nn/model_test_support.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

using namespace microtome;

namespace {

// Small images: what is folded and fused does not depend on their size.
struct Case {
    std::string architecture;
    int64_t size, images;
    // A ReLU whose input is as close to 0 as rounding can carry it opens on one side and not on the other.
    // Among the hundreds of thousands of a deep network there is one now and then, and the gradient lacks its
    // share.
    double gradient_bound = 1e-4;
};
const std::vector<Case> kCases{
    {"cnn", 40, 3},      {"mlp", 8, 3},       {"resnet-small", 32, 3}, {"vit-small", 32, 3},
    {"resnet18", 48, 2}, {"resnet50", 48, 2}, {"mobilenetv2", 48, 2},  {"densenet121", 48, 2, 1e-2},
    {"vgg16", 32, 2},    {"vit-ti16", 32, 2}};

// A model whose batch norms have seen something: folding scales of 1 and shifts of 0 would prove nothing.
std::unique_ptr<Module> model_of(const Case& c) {
    ModelOptions options{.classes = 3};
    options.image.height = options.image.width = c.size;
    auto model = make_model(c.architecture, options);
    model->initialize(4);
    uint64_t seed = 7;
    for (const NamedParameter& named : model->named_parameters()) {
        const bool variance = named.name.ends_with("running_var");
        if (!variance && !named.name.ends_with("running_mean")) continue;
        Tensor& value = named.parameter->value;
        const Tensor drawn = test::images(value.shape(), ++seed);
        auto to = value.mutable_data<float>();
        for (std::size_t i = 0; i < to.size(); ++i)
            to[i] = variance ? 0.5f + drawn.data<float>()[i] : 0.4f * (drawn.data<float>()[i] - 0.5f);
    }
    return model;
}

struct Answers {
    Tensor logits, gradient;
};

Answers on_the_tape(Module& model, const Tensor& x, const Tensor& dlogits) {
    Tape tape;
    tape.watch(x);
    const Tensor logits = model(x);
    return {logits, tape.vjp({logits}, {dlogits}, {x})[0]};
}

Answers planned(Module& model, const Tensor& x, const Tensor& dlogits, const ImagePlanOptions& options) {
    ImagePlan plan(
        {x.shape().with(0, 1), x.dtype()}, {}, {}, [&](const Tensors& in) { return model(in[0]); }, options);
    const Tensor logits = plan.logits({x});
    return {logits, plan.vjp(dlogits)};
}

// The largest difference, relative to the largest element.
double error_of(const Tensor& got, const Tensor& expected) {
    double largest = 0, error = 0;
    for (std::size_t i = 0; i < got.data<float>().size(); ++i) {
        const double want = expected.data<float>()[i];
        largest = std::max(largest, std::abs(want));
        error = std::max(error, std::abs(got.data<float>()[i] - want));
    }
    return error / largest;
}

}  // namespace

TEST_CASE("every architecture, planned: exactly the tape, or as close as is said", "[nn][image_plan]") {
    for (const Case& c : kCases) {
        INFO(c.architecture);
        const auto model = model_of(c);
        const Tensor x = test::images({c.images, c.size, c.size, 3});
        const Tensor dlogits = test::images({c.images, 3}, 2);
        const Answers expected = on_the_tape(*model, x, dlogits);
        REQUIRE(*std::max_element(expected.gradient.data<float>().begin(),
                                  expected.gradient.data<float>().end()) > 0);

        const Answers exact = planned(*model, x, dlogits, {.exact = true});
        CHECK(identical(exact.logits, expected.logits));
        CHECK(identical(exact.gradient, expected.gradient));

        // docs/measurements.md states this bound.
        const Answers fast = planned(*model, x, dlogits, {});
        CAPTURE(error_of(fast.logits, expected.logits), error_of(fast.gradient, expected.gradient));
        CHECK(error_of(fast.logits, expected.logits) <= 1e-4);
        CHECK(error_of(fast.gradient, expected.gradient) <= c.gradient_bound);

        // In whatever batch an image sits, however many a thread takes at once.
        const Answers alone =
            planned(*model, test::part(x, 1, 2), test::part(dlogits, 1, 2), {.images_at_once = 1});
        CHECK(identical(alone.logits, test::part(fast.logits, 1, 2)));
        CHECK(identical(alone.gradient, test::part(fast.gradient, 1, 2)));
    }
}
