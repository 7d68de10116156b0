#include "nn/classifier.hpp"

#include "autograd/ops/arithmetic.hpp"
#include "autograd/ops/losses.hpp"
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
    LoadedModel loaded = small(), other = small();
    Module& model = *loaded.model;
    ModelClassifier classifier(std::move(loaded));
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
    ModelClassifier classifier(std::move(loaded));
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
