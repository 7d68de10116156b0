// Whole models. Finite differences meet a ReLU or a maximum that switches with nearly every step they take,
// and would reject correct gradients; dual numbers take the same branches, and no step.
#include "attacks/pgd.hpp"
#include "autograd/ops.hpp"
#include "nn/classifier.hpp"
#include "nn/models/registry.hpp"
#include "tensor/kernels/elementwise.hpp"
#include "tensor/random.hpp"
#include "tests/nn/model_test_support.hpp"

#include <catch2/catch.hpp>
#include <cmath>

using namespace microtome;

namespace {

struct Case {
    std::string architecture;
    ModelOptions options;
};

ModelOptions small(int64_t pixels, std::map<std::string, double> numbers) {
    return {.classes = 3,
            .image = {.height = pixels, .width = pixels, .channels = 3},
            .numbers = std::move(numbers)};
}

const std::vector<Case>& cases() {
    static const std::vector<Case> all{
        {"cnn", small(41, {{"channels", 5}})},
        {"resnet-small", small(17, {{"channels", 4}})},
        {"vit-small", small(16, {{"dimension", 12}, {"depth", 2}, {"heads", 2}, {"patch", 4}})}};
    return all;
}

// As after some training: no bias is zero, no scale one, and running statistics are not those of a fresh
// layer.
std::unique_ptr<Module> trained(const Case& one) {
    std::unique_ptr<Module> model = make_model(one.architecture, one.options);
    model->initialize(3);
    for (const NamedParameter& named : model->named_parameters()) {
        Tensor& value = named.parameter->value;
        Tensor noise(value.spec());
        fill_uniform({.seed = 4, .purpose = purpose_of(named.name)}, noise, -0.2, 0.2);
        auto x = value.mutable_data<float>();
        const bool variance = named.name.find("running_var") != std::string::npos;
        for (std::size_t i = 0; i < x.size(); ++i) {
            const float by = noise.data<float>()[i];
            x[i] = variance ? x[i] * (1 + 2 * by) : x[i] + by;
        }
    }
    return model;
}

Tensor converted(const Tensor& x, Dtype dtype) {
    Tensor result(Spec{x.shape(), dtype, kCpu});
    kernels::convert(x, result);
    return result;
}

Tensor signs(const Tensor& like, std::string_view name) {
    Tensor result(Spec{like.shape(), Dtype::f64, kCpu});
    fill_signs({.seed = 9, .purpose = purpose_of(name)}, result);
    return result;
}

void set_tangents(Tensor& x, const Tensor& u) {
    auto elements = x.mutable_data<Dual>();
    for (std::size_t i = 0; i < elements.size(); ++i) elements[i].tangent = u.data<double>()[i];
}

double dot(const Tensor& a, const Tensor& b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.data<double>().size(); ++i)
        sum += a.data<double>()[i] * b.data<double>()[i];
    return sum;
}

double length(const Tensor& a) {
    return std::sqrt(dot(a, a));
}

constexpr double kAllowed = 1e-11;

}  // namespace

TEST_CASE("input and weight gradients of models are what dual numbers say", "[gradcheck][models][dual]") {
    for (const Case& one : cases()) {
        INFO(one.architecture);
        const std::unique_ptr<Module> model = trained(one);
        const int64_t pixels = one.options.image.height;
        const Tensor images = test::images({2, pixels, pixels, 3});
        const Tensor v = signs(Tensor::zeros({2, one.options.classes}), "v");

        // By the tape, in f64: all gradients at once.
        model->convert(Dtype::f64);
        const Tensor x = converted(images, Dtype::f64);
        const Tensors weights = model->parameters();
        std::vector<std::string> names;
        for (const NamedParameter& named : model->trainable()) names.push_back(named.name);
        Tensors wanted = weights, gradients;
        wanted.push_back(x);
        Tensor logits;
        {
            Tape tape;
            tape.watch(wanted);
            logits = (*model)(x);
            gradients = tape.vjp({logits}, {v}, wanted);
        }

        // By dual numbers: one tensor moves at a time, and then all of them.
        model->convert(Dtype::dual);
        Tensor moving = converted(images, Dtype::dual);
        auto derivative = [&] {
            const Tensor y = (*model)(moving);
            double sum = 0;
            for (std::size_t i = 0; i < y.data<Dual>().size(); ++i) {
                REQUIRE(y.data<Dual>()[i].value == logits.data<double>()[i]);  // the same branches
                sum += v.data<double>()[i] * y.data<Dual>()[i].tangent;
            }
            return sum;
        };
        Tensors parts = model->parameters();
        parts.push_back(moving);
        names.push_back("the image");
        double all = 0, size = 0;
        for (std::size_t k = 0; k < parts.size(); ++k) {
            INFO(names[k]);
            const Tensor u = signs(parts[k], names[k]), still = Tensor::zeros(u.shape(), Dtype::f64);
            const double expected = dot(gradients[k], u);
            all += expected;
            size += length(gradients[k]);
            set_tangents(parts[k], u);
            const double exact = derivative();
            CHECK(std::abs(exact - expected) <= kAllowed * length(gradients[k]));
            CHECK(length(gradients[k]) > 1e-6);  // something depends on it
            set_tangents(parts[k], still);
        }
        for (std::size_t k = 0; k < parts.size(); ++k) set_tangents(parts[k], signs(parts[k], names[k]));
        CHECK(std::abs(derivative() - all) <= kAllowed * size);
    }
}

TEST_CASE("a model's gradients have the same bits whatever else is wanted", "[gradcheck][models]") {
    for (const Case& one : cases()) {
        INFO(one.architecture);
        const std::unique_ptr<Module> model = trained(one);
        const int64_t pixels = one.options.image.height;
        const Tensor x = test::images({2, pixels, pixels, 3});
        Tensor v(Spec{{2, one.options.classes}, Dtype::f32, kCpu});
        fill_signs({.seed = 2}, v);
        auto gradients = [&](const Tensors& wanted) {
            Tape tape;
            tape.watch(wanted);
            return tape.vjp({(*model)(x)}, {v}, wanted);
        };
        const Tensors weights = model->parameters();
        Tensors everything = weights;
        everything.push_back(x);
        const Tensors full = gradients(everything), of_weights = gradients(weights);
        CHECK(identical(full.back(), gradients({x})[0]));
        for (std::size_t k = 0; k < weights.size(); ++k) {
            CHECK(identical(full[k], of_weights[k]));
            if (k % 3 == 0) CHECK(identical(full[k], gradients({weights[k]})[0]));
        }
    }
}

TEST_CASE("an attack leaves a model as it found it", "[gradcheck][models]") {
    for (const Case& one : cases()) {
        INFO(one.architecture);
        const std::unique_ptr<Module> model = trained(one);
        ModelClassifier classifier(*model, one.options);
        const int64_t pixels = one.options.image.height;
        const Batch batch{.images = test::images({2, pixels, pixels, 3}),
                          .targets = Tensor::of<int64_t>({0, 2}, {2}),
                          .ids = {5, 6}};
        const auto before = classifier.fingerprint();
        const uint64_t weights = test::state_hash(*model), images = hash_of(batch.images);
        const Pgd attack({.steps = 3, .restarts = 2});
        const Tensor first = attack.run(classifier, batch);
        CHECK(classifier.fingerprint() == before);
        CHECK(test::state_hash(*model) == weights);
        CHECK(hash_of(batch.images) == images);
        CHECK_FALSE(model->training());
        CHECK(identical(attack.run(classifier, batch), first));  // nothing random went on
    }
}
