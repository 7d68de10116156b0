#include "defenses/adversarial_fine_tuning.hpp"

#include "attacks/fgsm.hpp"
#include "attacks/noise.hpp"
#include "attacks/pgd.hpp"
#include "autograd/ops/arithmetic.hpp"
#include "autograd/ops/losses.hpp"
#include "autograd/ops/reductions.hpp"
#include "base/error.hpp"
#include "base/interrupt.hpp"
#include "tests/nn/model_test_support.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <csignal>
#include <set>

using namespace microtome;
using Catch::Contains;

namespace {

const ModelOptions kOptions = complete_options("mlp", {.classes = 2,
                                                       .image = {.height = 4, .width = 4, .channels = 1},
                                                       .numbers = {{"width", 16}, {"depth", 1}}});

std::unique_ptr<Module> small_model() {
    auto model = make_model("mlp", kOptions);
    model->initialize(3);
    return model;
}

// Class 1 is a little brighter in every pixel, and very much so in the first: a network likes the first,
// which an attack can take away.
Batch two_kinds(int64_t n) {
    Batch batch{test::images({n, 4, 4, 1}), Tensor::zeros({n}, Dtype::i64), {}};
    std::span<float> x = batch.images.mutable_data<float>();
    for (int64_t i = 0; i < n; ++i) {
        const int64_t label = i % 2;
        batch.targets.mutable_data<int64_t>()[i] = label;
        batch.ids.push_back(100 + i);
        for (int64_t p = 0; p < 16; ++p) {
            float& value = x[i * 16 + p];
            value = 0.5f + 0.1f * (value - 0.5f) + (label ? 1.f : -1.f) * (p == 0 ? 0.08f : 0.06f);
            value = std::rint(value * 255.f) / 255.f;  // as a file would have it
        }
    }
    return batch;
}

Tensor half(const Tensor& x, int64_t which) {
    const int64_t n = x.size(0) / 2;
    return x.view(x.shape().with(0, n), which * (x.elements() / 2));
}

}  // namespace

TEST_CASE("a pair is an image and then its attacked version", "[defenses]") {
    Batch clean = two_kinds(3);
    Tensor attacked = Tensor::full({3, 4, 4, 1}, 0.25);
    Batch pairs = paired(clean, attacked);
    CHECK(identical(half(pairs.images, 0), clean.images));
    CHECK(identical(half(pairs.images, 1), attacked));
    CHECK(identical(half(pairs.targets, 0), clean.targets));
    CHECK(identical(half(pairs.targets, 1), clean.targets));
    CHECK(pairs.ids == std::vector<int64_t>{100, 101, 102, 100, 101, 102});
    CHECK_THROWS_AS(paired(clean, Tensor::zeros({2, 4, 4, 1})), ShapeError);
}

TEST_CASE("the paired objective weighs clean and attacked images", "[defenses]") {
    auto model = small_model();
    Batch clean = two_kinds(6);
    Tensor attacked = test::images({6, 4, 4, 1}, 9);
    const double on_clean = mean(cross_entropy((*model)(clean.images), clean.targets)).item();
    const double on_attacked = mean(cross_entropy((*model)(attacked), clean.targets)).item();
    Batch pairs = paired(clean, attacked);
    for (PairWeights weights : {PairWeights{0.5, 0.5}, {1, 0}, {0, 1}, {0.3, 2}}) {
        const double loss = mean(paired_objective(weights)(*model, pairs, {})).item();
        CHECK(loss == Approx(weights.clean * on_clean + weights.adversarial * on_attacked).epsilon(1e-5));
    }
    CHECK_THROWS_AS(paired_objective({-1, 1}), OptionsError);
    CHECK_THROWS_AS(paired_objective({0, 0}), OptionsError);
    CHECK_THROWS_WITH(paired_objective()(*model, slice(pairs, 0, 5), {}), Contains("pairs"));
}

TEST_CASE("fresh pairs attack the weights of the moment", "[defenses]") {
    auto model = small_model();
    Batch clean = two_kinds(4);
    Fgsm fgsm({.epsilon = 0.1});
    Craft craft = fresh_pairs({&fgsm}, kOptions);
    Batch first = craft(*model, clean, 0);
    ModelClassifier classifier(*model, kOptions);
    CHECK(identical(half(first.images, 1), fgsm.run(classifier, clean)));
    CHECK(identical(half(first.images, 0), clean.images));
    CHECK(first.ids[0] == 100);  // ids are the images' own

    model->initialize(4);
    CHECK_FALSE(identical(craft(*model, clean, 0).images, first.images));
    CHECK_THROWS_AS(fresh_pairs({}, kOptions), OptionsError);
}

TEST_CASE("fresh pairs draw anew in every step and take attacks in turn", "[defenses]") {
    auto model = small_model();
    Batch clean = two_kinds(4);
    UniformNoise wide({.epsilon = 0.3}), narrow({.epsilon = 0.01});
    Craft craft = fresh_pairs({&wide, &narrow}, kOptions);
    auto farthest = [&](const Batch& pairs) {
        float most = 0;
        for (int64_t i = 0; i < clean.images.elements(); ++i)
            most = std::max(most,
                            std::abs(half(pairs.images, 1).data<float>()[i] - clean.images.data<float>()[i]));
        return most;
    };
    CHECK(farthest(craft(*model, clean, 0)) > 0.1f);
    CHECK(farthest(craft(*model, clean, 1)) <= 0.01f);
    CHECK(identical(craft(*model, clean, 0).images, craft(*model, clean, 0).images));
    CHECK_FALSE(identical(craft(*model, clean, 0).images, craft(*model, clean, 2).images));
}

TEST_CASE("static pairs are made once and keep their partners", "[defenses]") {
    auto model = small_model();
    Batch all = two_kinds(7);
    ModelClassifier classifier(*model, kOptions);
    Fgsm small({.epsilon = 8.0 / 255}), large({.epsilon = 40.0 / 255});
    MemoryBatches clean(all, 3);
    std::vector<int64_t> made;
    StaticPairs pairs(classifier, clean, {&small, &large}, 2, 5, [&](int64_t count) {
        made.push_back(count);
        return true;
    });
    CHECK(made == std::vector<int64_t>{6, 12, 14});
    CHECK(pairs.images() == 7);
    CHECK(pairs.batches() == 4);
    CHECK_THROWS_AS(pairs.next(), Error);
    const Tensor by_small = small.run(classifier, all), by_large = large.run(classifier, all);
    model->initialize(99);  // what was made is made

    std::vector<std::vector<int64_t>> orders;
    for (int64_t epoch : {0, 1, 0}) {
        pairs.start(epoch);
        orders.emplace_back();
        while (std::optional<Batch> batch = pairs.next()) {
            const int64_t n = batch->images.size(0) / 2;
            for (int64_t k = 0; k < n; ++k) {
                const int64_t i = batch->ids[k] - 100;
                orders.back().push_back(i);
                CHECK(batch->ids[n + k] == batch->ids[k]);
                CHECK(batch->targets.data<int64_t>()[n + k] == i % 2);
                const Tensor& expected = (i + epoch) % 2 == 0 ? by_small : by_large;
                for (int64_t p = 0; p < 16; ++p) {
                    CHECK(batch->images.data<float>()[k * 16 + p] ==
                          Approx(all.images.data<float>()[i * 16 + p]).margin(1e-6));
                    CHECK(batch->images.data<float>()[(n + k) * 16 + p] ==
                          Approx(expected.data<float>()[i * 16 + p]).margin(0.51 / 255));
                }
            }
        }
    }
    CHECK(std::set<int64_t>(orders[0].begin(), orders[0].end()).size() == 7);
    CHECK(orders[0] != orders[1]);
    CHECK(orders[0] == orders[2]);

    StaticPairs stopped(classifier, clean, {&small}, 2, 5, [](int64_t) { return false; });
    CHECK(stopped.images() == 3);
    {
        InterruptGuard guard;
        StaticPairs broken_off(classifier, clean, {&small, &large}, 2, 5, [](int64_t) {
            std::raise(SIGINT);  // seen within the next batch's first attack
            return true;
        });
        CHECK(broken_off.images() == 3);
        CHECK_THROWS_AS(StaticPairs(classifier, clean, {&small}, 2, 5), Interrupted);
    }
    CHECK_THROWS_AS(StaticPairs(classifier, clean, {}, 2, 5), OptionsError);
    CHECK_THROWS_AS(StaticPairs(classifier, clean, {&small}, 0, 5), OptionsError);
}

TEST_CASE("fine-tuning against fresh attacks makes a network harder to fool", "[defenses]") {
    auto model = small_model();
    Batch images = two_kinds(64), unseen = slice(two_kinds(96), 64, 96);
    MemoryBatches train(images, 16);
    Adam adam(*model, {.lr = 0.01});
    Trainer(*model, adam, {.epochs = 10}).run(train);
    ModelClassifier classifier(*model, kOptions);
    Pgd pgd({.epsilon = 0.055, .steps = 10});
    auto right = [&](const Tensor& x) {
        const Tensor logits = classifier.logits({x, unseen.targets, unseen.ids});
        int64_t count = 0;
        for (int64_t i = 0; i < x.size(0); ++i)
            count += (logits.data<float>()[2 * i + 1] > logits.data<float>()[2 * i]) ==
                     (unseen.targets.data<int64_t>()[i] == 1);
        return count;
    };
    CHECK(right(unseen.images) >= 30);
    const int64_t before = right(pgd.run(classifier, unseen));

    Adam finer(*model, {.lr = 0.01});
    Trainer(*model, finer,
            {.epochs = 30, .objective = paired_objective(), .craft = fresh_pairs({&pgd}, kOptions)})
        .run(train);
    const int64_t after = right(pgd.run(classifier, unseen));
    INFO("right under attack: " << before << " before, " << after << " after");
    CHECK(after > before);
    CHECK(right(unseen.images) >= 30);
}
