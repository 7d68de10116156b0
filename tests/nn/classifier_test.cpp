#include "nn/classifier.hpp"

#include "autograd/ops/arithmetic.hpp"
#include "autograd/ops/dropout.hpp"
#include "autograd/ops/losses.hpp"
#include "autograd/ops/shaping.hpp"
#include "tensor/kernels/context.hpp"
#include "tensor/random.hpp"
#include "tests/nn/model_test_support.hpp"

#include <catch2/catch.hpp>

using namespace microtome;
using Catch::Contains;

namespace {

LoadedModel small() {
    ModelCard card{
        .architecture = "cnn",
        .options = {.classes = 3,
                    .image = {.height = 40, .width = 40, .mean = {.5, .5, .5}, .deviation = {.2, .2, .2}},
                    .numbers = {{"channels", 3}}},
        .classes = {"a", "b", "c"},
        .training = {}};
    auto model = make_model(card.architecture, card.options);
    model->initialize(2);
    model->train();
    return {std::move(model), card};
}

}  // namespace

TEST_CASE("a classifier's gradients are the model's", "[nn][classifier]") {
    const Execution execution = GENERATE(Execution::exact_plan, Execution::tape);
    LoadedModel loaded = small(), other = small();
    Module& model = *loaded.model;
    ModelClassifier classifier(std::move(loaded), execution);
    other.model->eval();
    const uint64_t before = test::state_hash(model);
    Batch batch{.images = test::images({4, 40, 40, 3}),
                .targets = Tensor::of(std::vector<int64_t>{0, 1, 2, 0}, {4})};

    Tensor logits = classifier.logits(batch);
    CHECK(identical(logits, (*other.model)(batch.images)));
    Tensor dlogits, expected;
    {
        Tape tape;
        tape.watch(logits);
        dlogits = tape.gradient(cross_entropy(logits, batch.targets), logits);
    }
    {
        Tape tape;
        tape.watch(batch.images);
        expected = tape.gradient(cross_entropy((*other.model)(batch.images), batch.targets), batch.images);
    }
    CHECK(identical(classifier.vjp(dlogits), expected));
    CHECK(identical(classifier.vjp(dlogits), expected));  // another row of the Jacobian could be asked for
    CHECK(classifier.forward_passes() == 4);
    CHECK(classifier.backward_passes() == 8);
    CHECK(classifier.classes() == 3);
    CHECK(classifier.image().height == 40);

    // Nothing about the model differs afterwards, and it was in eval mode all along.
    CHECK(test::state_hash(model) == before);
    CHECK_FALSE(model.training());
    model.train();
    CHECK(identical(classifier.logits(batch), logits));
    CHECK(test::state_hash(model) == before);
}

TEST_CASE("a classifier refuses what does not fit", "[nn][classifier]") {
    ModelClassifier classifier(small());
    CHECK_THROWS_WITH(classifier.vjp(Tensor::zeros({1, 3})), Contains("logits() before"));
    CHECK_THROWS_AS(classifier.logits({}), ShapeError);
    CHECK_THROWS_AS(classifier.logits({.images = Tensor::zeros({1, 41, 40, 3})}), ShapeError);
    CHECK_THROWS_AS(classifier.vjp(Tensor::zeros({1, 3})), TapeError);  // no stale gradients
    classifier.logits({.images = Tensor::zeros({1, 40, 40, 3})});
    CHECK_THROWS_WITH(classifier.vjp(Tensor::zeros({2, 3})), Contains("f32(1,3)"));
    CHECK(classifier.vjp(Tensor::zeros({1, 3})).shape() == Shape{1, 40, 40, 3});
}

TEST_CASE("a classifier can look at somebody's model", "[nn][classifier]") {
    LoadedModel loaded = small();
    ModelClassifier borrowed(*loaded.model, loaded.card.options);
    Batch batch{.images = test::images({2, 40, 40, 3})};
    Tensor before = borrowed.logits(batch);
    CHECK_FALSE(loaded.model->training());
    CHECK(&borrowed.model() == loaded.model.get());
    CHECK(borrowed.classes() == 3);

    loaded.model->named_parameters()[0].parameter->value.mutable_data<float>()[0] += 1;  // trained on
    loaded.model->train();
    Tensor after = borrowed.logits(batch);
    CHECK_FALSE(identical(before, after));
    CHECK(identical(after, ModelClassifier(std::move(loaded)).logits(batch)));
}

TEST_CASE("a classifier's fingerprint is of all that its answers depend on", "[nn][classifier]") {
    LoadedModel loaded = small();
    Module& model = *loaded.model;
    ModelClassifier classifier(std::move(loaded), Execution::exact_plan);
    const std::optional<uint64_t> before = classifier.fingerprint();
    REQUIRE(before);
    classifier.logits({.images = test::images({2, 40, 40, 3})});
    CHECK(classifier.fingerprint() == before);
    CHECK(ModelClassifier(small()).fingerprint() == before);
    model.train();
    CHECK(classifier.fingerprint() != before);
    model.eval();
    model.freeze("*");
    CHECK(classifier.fingerprint() != before);
    model.freeze("*", false);
    CHECK(classifier.fingerprint() == before);
    for (const NamedParameter& named :
         model.named_parameters()) {  // every weight and every running statistic
        const Tensor old = named.parameter->value.clone();
        named.parameter->value.mutable_data<float>()[0] += 1;
        CHECK(classifier.fingerprint() != before);
        named.parameter->value.copy_from(old);
        CHECK(classifier.fingerprint() == before);
    }
}

namespace {

// Multiplies by 2 to the power of how many pixels are white: it looks at elements, which no plan can.
class Looks : public Module {
    std::string_view kind() const override { return "Looks"; }
    Tensor forward(const Tensor& x, const Pass&) override {
        double white = 0;
        for (float value : x.data<float>()) white += value == 1;
        return reshape(x, Shape{x.size(0), x.elements() / x.size(0)}) * std::exp2(white);
    }
};

// Noise on its input, in eval mode as well: a randomised defence.
class Noisy : public Module {
    std::string_view kind() const override { return "Noisy"; }
    Tensor forward(const Tensor& x, const Pass& pass) override {
        const Tensor ids = pass.sample_ids.defined() ? pass.sample_ids : Tensor::of(pass.ids, {x.size(0)});
        const Tensor key = pass.key.defined() ? pass.key
                                              : key_tensor({.seed = pass.seed,
                                                            .restart = static_cast<uint32_t>(pass.restart),
                                                            .step = static_cast<uint32_t>(pass.step)});
        return reshape(dropout(x, 0.5, key, ids), Shape{x.size(0), x.elements() / x.size(0)});
    }
};

}  // namespace

TEST_CASE("a classifier runs a plan, and the tape where none can be had", "[nn][classifier]") {
    const Batch batch{.images = test::images({3, 40, 40, 3})};
    const Tensor dlogits = Tensor::full({3, 3}, 0.5);
    for (const Execution execution : {Execution::plan, Execution::exact_plan, Execution::tape}) {
        ModelClassifier classifier(small(), execution), other(small(), Execution::tape);
        const Tensor logits = classifier.logits(batch), expected = other.logits(batch);
        CHECK(classifier.mode() == (execution == Execution::plan         ? "plan"
                                    : execution == Execution::exact_plan ? "exact plan"
                                                                         : "tape"));
        const auto got = logits.data<float>(), want = expected.data<float>();
        for (std::size_t i = 0; i < got.size(); ++i)
            CHECK(got[i] == Approx(want[i]).epsilon(1e-4).margin(1e-5));
    }

    Looks looks;
    const ModelOptions options{.classes = 12, .image = {.height = 2, .width = 2}};
    ModelClassifier on_tape(looks, options);
    const Tensor white = Tensor::full({1, 2, 2, 3}, 1);
    CHECK(identical(on_tape.logits({.images = white}), Tensor::full({1, 12}, 4096)));
    CHECK(on_tape.mode() == "tape");
    CHECK(identical(on_tape.vjp(Tensor::full({1, 12}, 1)), Tensor::full({1, 2, 2, 3}, 4096)));
}

TEST_CASE("a classifier's plan follows its weights", "[nn][classifier]") {
    LoadedModel loaded = small(), other = small();
    ModelClassifier classifier(*loaded.model, loaded.card.options, Execution::exact_plan);
    const Batch batch{.images = test::images({2, 40, 40, 3})};
    classifier.logits(batch);
    other.model->eval();
    // Written to, and replaced.
    const std::shared_ptr<Parameter> bias = loaded.model->named_parameters().back().parameter;
    for (float& value : bias->value.mutable_data<float>()) value += 1;
    other.model->load(loaded.model->state());
    CHECK(identical(classifier.logits(batch), (*other.model)(batch.images)));
    loaded.model->initialize(9);
    other.model->load(loaded.model->state());
    CHECK(identical(classifier.logits(batch), (*other.model)(batch.images)));
    loaded.model->convert(Dtype::f64);
    CHECK_THROWS_AS(classifier.logits(batch), DtypeError);  // the tape says so, not a plan of stale weights
}

TEST_CASE("a classifier suggests batches that need no more memory than they gain", "[nn][classifier]") {
    ModelCard card{.architecture = "cnn",
                   .options = {.classes = 3, .image = {.height = 180, .width = 180}},
                   .classes = {"a", "b", "c"},
                   .training = {}};
    auto model = make_model(card.architecture, card.options);
    model->initialize(1);
    ModelClassifier classifier({std::move(model), card}), on_the_tape(small(), Execution::tape);
    const Spec images{{1000, 180, 180, 3}, Dtype::f32, kCpu};
    ThreadLimit limit(3);
    const int64_t suggested = classifier.suggested_batch(images);
    CHECK(suggested % 3 == 0);
    CHECK(suggested >= 12);
    CHECK(suggested <= 120);
    CHECK(on_the_tape.suggested_batch({{1000, 40, 40, 3}, Dtype::f32, kCpu}) == 1000);

    const Batch batch{.images = test::images({suggested + 1, 180, 180, 3})};
    const Tensor whole = classifier.logits(batch);
    CHECK(identical(logits_alone(classifier, batch), whole));
    CHECK(classifier.forward_passes() == 2 * (suggested + 1));
    CHECK(logits_alone(classifier, slice(batch, 0, 0)).shape() == Shape{0, 3});
}

TEST_CASE("a plan draws what the tape draws, query by query", "[nn][classifier]") {
    Noisy noisy;
    const ModelOptions options{.classes = 12, .image = {.height = 2, .width = 2}};
    ModelClassifier plan(noisy, options), tape(noisy, options, Execution::tape);
    const Batch batch{.images = test::images({3, 2, 2, 3}), .ids = {5, 7, 6}};
    Tensor before;
    for (const Query& query : {Query{1, 0, 0}, Query{2, 0, 0}, Query{1, 3, 0}, Query{1, 0, 4}}) {
        const Tensor logits = plan.logits(batch, query);
        CHECK(plan.mode() == "plan");
        CHECK(identical(logits, tape.logits(batch, query)));
        const Tensor ones = Tensor::full(logits.shape(), 1);
        CHECK(identical(plan.vjp(ones), tape.vjp(ones)));
        if (before.defined()) CHECK_FALSE(identical(logits, before));
        before = logits;
    }
}
