// FGSM, BIM, PGD and MI-FGSM against what linear models say on paper, and what holds for any model.
#include "attacks/bim.hpp"
#include "attacks/fgsm.hpp"
#include "attacks/mi_fgsm.hpp"
#include "attacks/pgd.hpp"
#include "attacks/registry.hpp"
#include "tensor/kernels/context.hpp"
#include "tests/attacks/attack_test_support.hpp"

#include <catch2/catch.hpp>
#include <functional>
#include <limits>

using namespace microtome;
using Catch::Contains;

namespace {

// Images (n, 1, 1, values) of grey between 0.3 and 0.7, far from the walls of the box.
Tensor greys(int64_t n, int64_t values, uint64_t seed = 1) {
    Tensor x = test::images({n, 1, 1, values}, seed);
    for (float& v : x.mutable_data<float>()) v = 0.3f + 0.4f * v;
    return x;
}

const std::vector<float> kWeights{0.5f, -1, 2, 0.25f, -0.75f, 0, 1.5f, -0.1f};  // |w|_1 = 6.1, |w|_2 = 2.85

std::vector<std::unique_ptr<Attack>> all(const AttackSettings& settings) {
    std::vector<std::unique_ptr<Attack>> attacks;
    for (const char* name : {"fgsm", "bim", "pgd", "mi-fgsm"}) attacks.push_back(make_attack(name, settings));
    return attacks;
}

// Answers with logits that do not depend on the image.
class Constant : public Classifier {
  public:
    explicit Constant(int64_t classes, float slope = 0) : classes_(classes), slope_(slope) {
        options_.height = options_.width = 1, options_.channels = 4;
    }
    int64_t classes() const override { return classes_; }
    const ImageOptions& image() const override { return options_; }

  private:
    Tensor run(const Batch& batch, const Query&) override {
        shape_ = batch.images.shape();
        Tensor logits = Tensor::zeros({shape_[0], classes_});
        for (int64_t i = 0; i < shape_[0]; ++i) logits.mutable_data<float>()[i * classes_] = 1;
        return logits;
    }
    Tensor pull(const Tensor&) override { return Tensor::full(shape_, slope_); }

    int64_t classes_;
    float slope_;
    Shape shape_;
    ImageOptions options_;
};

// Passes on what it is asked, three images together at most suggested.
class ThreeAtATime : public Classifier {
  public:
    explicit ThreeAtATime(Classifier& inner) : inner_(inner) {}
    int64_t classes() const override { return inner_.classes(); }
    const ImageOptions& image() const override { return inner_.image(); }
    int64_t suggested_batch(const Spec&) override { return 3; }
    int64_t largest() const { return largest_; }

  private:
    Tensor run(const Batch& batch, const Query& query) override {
        largest_ = std::max(largest_, batch.images.size(0));
        return inner_.logits(batch, query);
    }
    Tensor pull(const Tensor& dlogits) override { return inner_.vjp(dlogits); }

    Classifier& inner_;
    int64_t largest_ = 0;
};

struct Notes : AttackObserver {
    void step(const AttackStep& step) override {
        ++steps;
        restarts = step.restart + 1;
        for (auto part : {step.loss, step.margin, step.gradient_norm, step.zero_gradient,
                          step.stopped_by_epsilon, step.stopped_by_box})
            CHECK(part.size() == step.ids.size());
        first_loss.push_back(step.loss[0]);
        zeros.push_back(step.zero_gradient[0]);
        norm.push_back(step.gradient_norm[0]);
        margin.push_back(step.margin[0]);
        by_epsilon.push_back(step.stopped_by_epsilon[0]);
        by_box.push_back(step.stopped_by_box[0]);
    }
    int64_t steps = 0, restarts = 0;
    std::vector<float> first_loss, zeros, norm, margin, by_epsilon, by_box;
};

}  // namespace

TEST_CASE("FGSM on a linear model is x + epsilon sign(w)", "[attacks]") {
    auto classifier = test::binary(kWeights, 0);
    const double epsilon = 8.0 / 255;
    const Tensor x = greys(5, 8);
    for (int64_t y : {0, 1}) {
        Batch batch{.images = x, .targets = Tensor::of(std::vector<int64_t>(5, y), {5})};
        const Tensor attacked = Fgsm({.epsilon = epsilon}).run(classifier, batch);
        for (int64_t i = 0; i < x.elements(); ++i) {
            const float w = kWeights[i % 8];
            const double direction = (y == 1 ? -1 : 1) * ((w > 0) - (w < 0));
            const double expected = x.data<float>()[i] + epsilon * direction;
            CHECK(attacked.data<float>()[i] == Approx(expected).epsilon(0).margin(1.3e-7));
            if (w == 0) CHECK(attacked.data<float>()[i] == x.data<float>()[i]);  // sign(0) = 0
        }
        CHECK(test::linf_distance(attacked, x) <= epsilon);
    }
}

TEST_CASE("PGD reaches the closed form of a linear model's robust accuracy", "[attacks]") {
    const float bias = -1.2f;
    auto classifier = test::binary(kWeights, bias);
    const Batch batch = test::answered(classifier, greys(200, 8));
    const double l1 = 6.1, l2 = std::sqrt(8.135);
    for (auto [norm, epsilon, length] : {std::tuple{Norm::linf, 0.02, l1},
                                         {Norm::linf, 0.06, l1},
                                         {Norm::l2, 0.05, l2},
                                         {Norm::l2, 0.2, l2}})
        for (bool random_start : {false, true})
            for (AttackLoss loss : {AttackLoss::cross_entropy, AttackLoss::margin, AttackLoss::dlr}) {
                const Pgd attack({.norm = norm,
                                  .epsilon = epsilon,
                                  .step = epsilon / 8,
                                  .steps = norm == Norm::linf ? 20 : 100,  // the way round is longer
                                  .random_start = random_start,
                                  .loss = loss});
                const Tensor x = attack.run(classifier, batch);
                const std::vector<bool> fooled = test::wrong(classifier, batch, x);
                for (int64_t i = 0; norm == Norm::l2 && i < 200; ++i) {
                    const double distance = test::l2_distance(x, batch.images, i);
                    CHECK(distance <= epsilon);
                    CHECK(distance > epsilon * (1 - 1e-5));
                }
                int64_t expected = 0, measured = 0, close = 0;
                for (int64_t i = 0; i < 200; ++i) {
                    double margin = bias;
                    for (int j = 0; j < 8; ++j)
                        margin += static_cast<double>(kWeights[j]) * batch.images.data<float>()[i * 8 + j];
                    margin = std::abs(margin) - epsilon * length;
                    close += std::abs(margin) < 1e-5;
                    expected += margin < 0;
                    measured += fooled[i];
                }
                REQUIRE(close == 0);
                CHECK(expected > 10);
                CHECK(expected < 190);
                INFO("epsilon " << epsilon << ", random start " << random_start);
                CHECK(measured == expected);
            }
}

TEST_CASE("what attacks return lies in the ball and the box, exactly", "[attacks]") {
    ModelClassifier classifier(test::small_cnn());
    Tensor images = test::images({3, 40, 40, 3});
    for (float& v : images.mutable_data<float>()) v = v < 0.2f ? 0 : (v > 0.8f ? 1 : v);  // some on the walls
    const Batch batch = test::answered(classifier, images);
    for (const char* epsilon : {"0.25/255", "0.3"})
        for (const char* name : {"fgsm", "pgd", "mi-fgsm"}) {
            AttackSettings settings{{"epsilon", epsilon}};
            if (name != std::string("fgsm")) settings.emplace_back("steps", "4");
            const auto attack = make_attack(name, settings);
            const Tensor x = attack->run(classifier, batch);
            CHECK(test::in_box(x));
            CHECK(test::linf_distance(x, images) <= attack->threat().epsilon);
            CHECK(test::linf_distance(x, images) > 0.5 * attack->threat().epsilon);
            settings[0].second = epsilon == std::string("0.3") ? "3" : "0.05";
            settings.emplace_back("norm", "l2");
            const auto round = make_attack(name, settings);
            const Tensor y = round->run(classifier, batch);
            CHECK(test::in_box(y));
            for (int64_t i = 0; i < 3; ++i) {
                CHECK(test::l2_distance(y, images, i) <= round->threat().epsilon);
                CHECK(test::l2_distance(y, images, i) > 0.5 * round->threat().epsilon);
            }
        }
}

TEST_CASE("an epsilon of zero returns the images bit for bit", "[attacks]") {
    ModelClassifier classifier(test::small_cnn());
    const Batch batch = test::answered(classifier, test::images({2, 40, 40, 3}));
    for (const char* norm : {"linf", "l2"})
        for (const char* name : {"fgsm", "pgd"}) {
            const auto attack = make_attack(name, {{"epsilon", "0"}, {"norm", norm}});
            CHECK(identical(attack->run(classifier, batch), batch.images));
        }
    const Pgd again({.epsilon = 0, .steps = 2, .restarts = 2});
    CHECK(identical(again.run(classifier, batch), batch.images));
}

TEST_CASE("an image's result depends on neither batch, place nor threads", "[attacks]") {
    ModelCard card{
        .architecture = "mlp",
        .options = {.classes = 4, .image = {.height = 20, .width = 20}, .numbers = {{"width", 16}}},
        .classes = {"a", "b", "c", "d"},
        .training = {}};
    auto model = make_model(card.architecture, card.options);
    model->initialize(2);
    ModelClassifier classifier({std::move(model), card});
    const Batch batch = test::answered(classifier, test::images({7, 20, 20, 3}), 100);
    std::vector<GradientAttackOptions> cases;
    for (Norm norm : {Norm::linf, Norm::l2})
        cases.push_back({.norm = norm,
                         .epsilon = norm == Norm::linf ? 0.004 : 0.1,
                         .steps = 3,
                         .random_start = true,
                         .restarts = 2,
                         .momentum = norm == Norm::linf ? 1.0 : 0.0,
                         .target = {Target::Rule::random},
                         .stop = norm == Norm::linf ? StopRule::fooled : StopRule::never,
                         .seed = 5});
    for (const GradientAttackOptions& options : cases) {
        const GradientAttack attack("pgd", options);
        const Tensor whole = attack.run(classifier, batch);
        const uint64_t expected = hash_of(whole);
        CHECK(expected != hash_of(batch.images));
        for (int64_t size : {1, 2, 3, 7}) {
            ThreadLimit limit(size == 7 ? 3 : 1);
            Tensor pieces(whole.spec());
            for (int64_t first = 0; first < 7; first += size) {
                const int64_t last = std::min<int64_t>(7, first + size);
                const Tensor part = attack.run(classifier, slice(batch, first, last));
                pieces.view(part.shape(), first * 20 * 20 * 3).copy_from(part);
            }
            CHECK(hash_of(pieces) == expected);
        }
        const std::vector<int64_t> backwards{6, 5, 4, 3, 2, 1, 0};
        const Batch turned = select(batch, backwards);
        CHECK(identical(attack.run(classifier, turned), select(Batch{.images = whole}, backwards).images));
        // In parts that the classifier suggests; whoever observes is told of all images step by step.
        ThreeAtATime careful(classifier);
        CHECK(hash_of(attack.run(careful, batch)) == expected);
        Batch nameless = batch;
        nameless.ids.clear();
        CHECK(identical(attack.run(careful, nameless), attack.run(classifier, nameless)));
        CHECK(careful.largest() == 3);
        Notes notes;
        GradientAttack observed("pgd", options);
        observed.observe(&notes);
        CHECK(hash_of(observed.run(careful, batch)) == expected);
        CHECK(careful.largest() == 7);
        // Another seed, another place to start from.
        GradientAttackOptions other = options;
        other.seed = 6;
        CHECK_FALSE(identical(GradientAttack("pgd", other).run(classifier, batch), whole));
    }
}

TEST_CASE("attacks leave model and images alone", "[attacks]") {
    LoadedModel loaded = test::small_cnn();
    Module& model = *loaded.model;
    ModelClassifier classifier(std::move(loaded));
    const Batch batch = test::answered(classifier, test::images({2, 40, 40, 3}));
    const uint64_t weights = test::state_hash(model), images = hash_of(batch.images);
    for (const auto& attack : all({})) {
        const Tensor x = attack->run(classifier, batch);
        CHECK_FALSE(x.shares_storage_with(batch.images));
        CHECK(test::state_hash(model) == weights);
        CHECK(hash_of(batch.images) == images);
        CHECK_FALSE(model.training());
    }
}

TEST_CASE("passes are those that cost() says", "[attacks]") {
    ModelClassifier classifier(test::small_cnn());
    const Batch batch = test::answered(classifier, test::images({3, 40, 40, 3}));
    auto used = [&](const Attack& attack, Classifier& asked, const Batch& on) {
        const int64_t forward = asked.forward_passes(), backward = asked.backward_passes();
        attack.run(asked, on);
        return std::pair(asked.forward_passes() - forward, asked.backward_passes() - backward);
    };
    for (const auto& attack : all({})) {
        const Passes cost = attack->cost();
        CHECK(used(*attack, classifier, batch) == std::pair(3 * cost.forward, 3 * cost.backward));
    }
    CHECK(Fgsm().cost().forward == 1);
    CHECK(Pgd({.steps = 7}).cost().forward == 7);

    // Nobody is fooled: all restarts are made. Everybody is: only the first.
    Constant constant(2);
    const Tensor x = greys(4, 4);
    const Batch right{.images = x, .targets = Tensor::of<int64_t>({0, 0, 0, 0}, {4})};
    const Batch half{.images = x, .targets = Tensor::of<int64_t>({0, 1, 0, 1}, {4})};
    const Pgd again({.steps = 5, .restarts = 3});
    CHECK(again.cost().forward == 18);
    CHECK(again.cost().backward == 15);
    CHECK(used(again, constant, right) == std::pair<int64_t, int64_t>(4 * 18, 4 * 15));
    CHECK(used(again, constant, half) == std::pair<int64_t, int64_t>(4 * 6 + 2 * 12, 4 * 5 + 2 * 10));
    // Who is fooled stops at once.
    const Pgd stopping({.steps = 5, .restarts = 3, .stop = StopRule::fooled});
    CHECK(used(stopping, constant, half) == std::pair<int64_t, int64_t>(4 + 2 * 17, 4 + 2 * 14));
}

TEST_CASE("restarts never make an attack weaker", "[attacks]") {
    ModelClassifier classifier(test::small_cnn());
    const Batch batch = test::answered(classifier, test::images({12, 40, 40, 3}));
    // Weak enough that chance decides.
    PgdOptions options{.epsilon = 0.6 / 255, .step = 0.1 / 255, .steps = 2, .loss = AttackLoss::margin};
    const std::vector<bool> once = test::wrong(classifier, batch, Pgd(options).run(classifier, batch));
    options.restarts = 6;
    const Tensor x = Pgd(options).run(classifier, batch);
    const std::vector<bool> often = test::wrong(classifier, batch, x);
    for (std::size_t i = 0; i < once.size(); ++i) CHECK(once[i] <= often[i]);
    INFO("fooled by one " << std::count(once.begin(), once.end(), true) << ", by six "
                          << std::count(often.begin(), often.end(), true));

    // Of restarts that all fail, the one that ends highest is returned.
    auto linear = test::binary({1, 2, -1, 0.5f}, 100);
    const Batch safe = test::answered(linear, greys(6, 4));
    auto loss_of = [&](int64_t restarts) {
        const Pgd attack(
            {.epsilon = 0.1, .step = 0.001, .steps = 1, .restarts = restarts, .loss = AttackLoss::margin});
        Batch end = safe;
        end.images = attack.run(linear, safe);
        const Tensor values = loss_at(AttackLoss::margin, linear.logits(end), safe.targets).values;
        return std::vector<float>(values.data<float>().begin(), values.data<float>().end());
    };
    const auto one = loss_of(1), five = loss_of(5);
    int64_t higher = 0;
    for (std::size_t i = 0; i < one.size(); ++i) {
        CHECK(five[i] >= one[i]);
        higher += five[i] > one[i];
    }
    CHECK(higher > 2);
}

TEST_CASE("an attack that stops when it has fooled fools as many", "[attacks]") {
    ModelClassifier classifier(test::small_cnn());
    const Batch batch = test::answered(classifier, test::images({6, 40, 40, 3}));
    PgdOptions options{.epsilon = 2.0 / 255, .steps = 10, .seed = 3};
    const std::vector<bool> whole = test::wrong(classifier, batch, Pgd(options).run(classifier, batch));
    options.stop = StopRule::fooled;
    const int64_t before = classifier.backward_passes();
    const std::vector<bool> stopped = test::wrong(classifier, batch, Pgd(options).run(classifier, batch));
    CHECK(classifier.backward_passes() - before < 60);
    CHECK(std::count(whole.begin(), whole.end(), true) > 0);
    for (std::size_t i = 0; i < whole.size(); ++i) CHECK(whole[i] <= stopped[i]);
}

TEST_CASE("MI-FGSM without momentum is BIM, bit for bit, and with it is not", "[attacks]") {
    ModelClassifier classifier(test::small_cnn());
    const Batch batch = test::answered(classifier, test::images({2, 40, 40, 3}));
    for (Norm norm : {Norm::linf, Norm::l2}) {
        const double epsilon = norm == Norm::linf ? 0.03 : 0.5;
        const Tensor bim =
            Bim({.norm = norm, .epsilon = epsilon, .step = epsilon / 5}).run(classifier, batch);
        MiFgsmOptions options{.norm = norm, .epsilon = epsilon, .step = epsilon / 5, .momentum = 0};
        CHECK(identical(MiFgsm(options).run(classifier, batch), bim));
        options.momentum = 1;
        CHECK_FALSE(identical(MiFgsm(options).run(classifier, batch), bim));
    }
}

TEST_CASE("momentum is that of the paper's recurrence", "[attacks]") {
    // Logits quadratic in nothing: on a linear model with a margin loss the gradient is constant, so that
    // m_t = (1 + mu + ... + mu^t) g / mean |g| and L2 steps go straight along w.
    auto classifier = test::binary(kWeights, 0);
    const Batch batch{.images = greys(1, 8), .targets = Tensor::of<int64_t>({0}, {1})};
    const Tensor x = MiFgsm({.norm = Norm::l2,
                             .epsilon = 1,
                             .step = 0.01,
                             .steps = 3,
                             .momentum = 0.5,
                             .loss = AttackLoss::margin})
                         .run(classifier, batch);
    for (int j = 0; j < 8; ++j)
        CHECK(x.data<float>()[j] - batch.images.data<float>()[j] ==
              Approx(0.03 * kWeights[j] / std::sqrt(8.135)).margin(2e-7));
}

TEST_CASE("BIM at the cervical study's settings reaches a third of its ball", "[attacks]") {
    ModelClassifier classifier(test::small_cnn());
    const Batch batch = test::answered(classifier, test::images({2, 40, 40, 3}));
    const double reach = test::linf_distance(make_attack("bim-thesis")->run(classifier, batch), batch.images);
    CHECK(reach <= 0.10 + 1e-6);
    CHECK(reach > 0.05);
}

TEST_CASE("attacks move only what the classifier sees", "[attacks]") {
    // Floor pooling leaves the study's network blind for rows and columns 171 to 179.
    ModelCard card{
        .architecture = "cnn",
        .options = {.classes = 2, .image = {.height = 180, .width = 180}, .numbers = {{"channels", 4}}},
        .classes = {"a", "b"},
        .training = {}};
    auto model = make_model(card.architecture, card.options);
    model->initialize(1);
    ModelClassifier classifier({std::move(model), card});
    const Batch batch = test::answered(classifier, test::images({1, 180, 180, 3}));
    const Tensor x = Bim({.steps = 2}).run(classifier, batch);
    int64_t moved_outside = 0, moved_at_edge = 0;
    for (int64_t row = 0; row < 180; ++row)
        for (int64_t column = 0; column < 180; ++column)
            for (int64_t c = 0; c < 3; ++c) {
                const int64_t i = (row * 180 + column) * 3 + c;
                const bool moved = x.data<float>()[i] != batch.images.data<float>()[i];
                if (row > 170 || column > 170) moved_outside += moved;
                if (row == 170 && column <= 170) moved_at_edge += moved;
            }
    CHECK(moved_outside == 0);
    CHECK(moved_at_edge > 0);
}

TEST_CASE("targeted attacks go where they are told", "[attacks]") {
    // Class c sees values c, c + 3, c + 6.
    std::vector<std::vector<float>> weights(3, std::vector<float>(9, 0));
    for (int j = 0; j < 9; ++j) weights[j % 3][j] = 1;
    test::LinearClassifier classifier({1, 1, 9}, weights, {0, 0, 0});
    const Batch batch = test::answered(classifier, greys(12, 9));
    auto answers = [&](const Target& target) {
        Batch attacked = batch;
        attacked.images =
            Bim({.epsilon = 0.3, .step = 0.02, .steps = 25, .target = target}).run(classifier, batch);
        return test::predictions(classifier, attacked);
    };
    const auto truth = batch.targets.data<int64_t>();
    const auto next = answers({Target::Rule::next});
    for (int i = 0; i < 12; ++i) CHECK(next[i] == (truth[i] + 1) % 3);
    for (int64_t wanted : {0, 1, 2})
        CHECK(answers({Target::Rule::fixed, wanted}) == std::vector<int64_t>(12, wanted));
    const auto random = answers({Target::Rule::random});
    int64_t after = 0;
    for (int i = 0; i < 12; ++i) {
        CHECK(random[i] != truth[i]);
        after += random[i] == (truth[i] + 1) % 3;
    }
    CHECK(after > 0);
    CHECK(after < 12);
    CHECK_THROWS_WITH(answers({Target::Rule::fixed, 3}), Contains("from 0 to 2, got 3"));

    // Fooled means the wanted class, not any wrong one: image 0 is wrong already, and not stopped for that.
    Constant constant(3);
    const Batch wrong{.images = greys(1, 4), .targets = Tensor::of<int64_t>({1}, {1})};
    const int64_t before = constant.forward_passes();
    Bim({.steps = 4, .target = {Target::Rule::next}, .stop = StopRule::fooled}).run(constant, wrong);
    CHECK(constant.forward_passes() - before == 4);
    Bim({.steps = 4, .target = {Target::Rule::fixed, 0}, .stop = StopRule::fooled}).run(constant, wrong);
    CHECK(constant.forward_passes() - before == 5);
}

TEST_CASE("random starts fill their ball", "[attacks]") {
    // With a gradient of zero PGD stays where it started.
    Constant constant(2);
    const int64_t n = 2000;
    const Batch batch{.images = Tensor::full({n, 1, 1, 4}, 0.5),
                      .targets = Tensor::of(std::vector<int64_t>(n, 0), {n})};
    for (Norm norm : {Norm::linf, Norm::l2}) {
        const double epsilon = 0.1;
        const Tensor x = Pgd({.norm = norm, .epsilon = epsilon, .steps = 1}).run(constant, batch);
        double mean = 0, mean_radius = 0, largest = 0, inner = 0;
        for (int64_t i = 0; i < n; ++i) {
            double length = 0;
            for (int j = 0; j < 4; ++j) {
                const double d = x.data<float>()[i * 4 + j] - 0.5;
                mean += d / static_cast<double>(4 * n);
                length = norm == Norm::linf ? std::max(length, std::abs(d)) : length + d * d;
            }
            if (norm == Norm::l2) length = std::sqrt(length);
            mean_radius += length / static_cast<double>(n);
            largest = std::max(largest, length);
            inner += length < epsilon / 2 ? 1.0 / static_cast<double>(n) : 0;
        }
        // In both balls of 4 dimensions the distance has the distribution (r / epsilon)^4.
        CHECK(mean == Approx(0).margin(0.003));
        CHECK(mean_radius == Approx(0.8 * epsilon).margin(0.002));
        CHECK(largest <= epsilon);
        CHECK(largest > 0.98 * epsilon);
        CHECK(inner == Approx(1.0 / 16).margin(0.02));
    }
}

TEST_CASE("without a gradient images stay where they are", "[attacks]") {
    Constant constant(2);
    const Batch batch{.images = greys(3, 4), .targets = Tensor::of<int64_t>({0, 1, 0}, {3})};
    for (const char* norm : {"linf", "l2"})
        for (const char* name : {"fgsm", "bim", "mi-fgsm"})
            CHECK(identical(make_attack(name, {{"norm", norm}})->run(constant, batch), batch.images));
}

TEST_CASE("a gradient that is not finite is an error, not an attack", "[attacks]") {
    Batch batch{.images = greys(2, 4), .targets = Tensor::of<int64_t>({0, 0}, {2}), .ids = {41, 42}};
    for (float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
        Constant broken(2, bad);
        for (const auto& attack : all({}))
            CHECK_THROWS_WITH(attack->run(broken, batch), Contains("image 41 in step 0"));
    }
    // Large but finite gradients are none of its business.
    Constant steep(2, 3e38f);
    const Tensor x = Fgsm().run(steep, batch);
    CHECK(test::linf_distance(x, batch.images) > 0.03);
}

TEST_CASE("attacks refuse what cannot be attacked", "[attacks]") {
    Constant two(2), one(1);
    const Fgsm attack;
    const Tensor x = greys(2, 4), y = Tensor::of<int64_t>({0, 1}, {2});
    CHECK_THROWS_AS(attack.run(two, {}), ShapeError);
    CHECK_THROWS_AS(attack.run(two, {.images = x}), ShapeError);
    CHECK_THROWS_AS(attack.run(two, {.images = x, .targets = Tensor::of<int64_t>({0}, {1})}), ShapeError);
    CHECK_THROWS_AS(attack.run(two, {.images = x, .targets = Tensor::of<int64_t>({0, 2}, {2})}), ShapeError);
    CHECK_THROWS_AS(attack.run(two, {.images = x, .targets = y, .ids = {1}}), ShapeError);
    CHECK_THROWS_AS(attack.run(two, {.images = x, .targets = Tensor::zeros({2})}), DtypeError);
    CHECK_THROWS_AS(attack.run(two, {.images = Tensor::zeros({2, 1, 1, 4}, Dtype::f64), .targets = y}),
                    DtypeError);
    CHECK_THROWS_WITH(attack.run(one, {.images = x, .targets = Tensor::of<int64_t>({0, 0}, {2})}),
                      Contains("2 classes or more, got 1"));
    for (float bad : {-0.01f, 1.01f, 255.0f, std::numeric_limits<float>::quiet_NaN()}) {
        Tensor outside = x.clone();
        outside.mutable_data<float>()[3] = bad;
        CHECK_THROWS_WITH(attack.run(two, {.images = outside, .targets = y}), Contains("[0,1]"));
    }
    CHECK(attack.run(two, {.images = Tensor::zeros({0, 1, 1, 4}), .targets = Tensor::zeros({0}, Dtype::i64)})
              .elements() == 0);

    CHECK_THROWS_WITH(Fgsm({.epsilon = 8}), Contains("8/255"));
    CHECK_THROWS_AS(Fgsm({.epsilon = -0.1}), OptionsError);
    CHECK_THROWS_AS(Fgsm({.epsilon = std::nan("")}), OptionsError);
    CHECK_THROWS_AS(Pgd({.step = -1}), OptionsError);
    CHECK_THROWS_AS(Pgd({.steps = 0}), OptionsError);
    CHECK_THROWS_AS(Pgd({.restarts = 0}), OptionsError);
    CHECK_THROWS_WITH(Pgd({.random_start = false, .restarts = 2}), Contains("the same"));
    CHECK_THROWS_AS(MiFgsm({.momentum = -1}), OptionsError);
    CHECK_NOTHROW(Pgd({.norm = Norm::l2, .epsilon = 8}));
}

TEST_CASE("every loss works with two classes", "[attacks]") {
    auto classifier = test::binary(kWeights, -1.2f);
    const Batch batch = test::answered(classifier, greys(20, 8));
    Tensor margin_result;
    for (const char* loss : {"margin", "dlr"})
        for (const char* target : {"none", "next"}) {
            const Tensor x = make_attack("bim", {{"epsilon", "0.05"}, {"loss", loss}, {"target", target}})
                                 ->run(classifier, batch);
            if (!margin_result.defined()) margin_result = x;
            CHECK(identical(x, margin_result));  // with two classes all of these are one loss
        }
}

TEST_CASE("an observer sees every step and changes nothing", "[attacks]") {
    auto classifier = test::binary({1, -2, 0, 0.5f}, 0.2f);
    // The first value starts on the wall that it will be pushed against.
    const Batch batch{.images = Tensor::of<float>({1, 0.5f, 0.5f, 0.5f}, {1, 1, 1, 4}),
                      .targets = Tensor::of<int64_t>({0}, {1}),
                      .ids = {9}};
    for (Norm norm : {Norm::linf, Norm::l2}) {
        Bim attack({.norm = norm, .epsilon = 0.1, .step = 0.04, .steps = 4, .loss = AttackLoss::margin});
        const Tensor silent = attack.run(classifier, batch);
        Notes notes;
        attack.observe(&notes);
        CHECK(identical(attack.run(classifier, batch), silent));
        CHECK(notes.steps == 4);
        CHECK(std::is_sorted(notes.first_loss.begin(), notes.first_loss.end()));
        CHECK(notes.first_loss[0] == Approx(0.2 + 1 - 1 + 0.25));
        CHECK(notes.margin[0] == -notes.first_loss[0]);
        CHECK(notes.norm[0] == Approx(std::sqrt(5.25)));
        CHECK(notes.zeros == std::vector<float>(4, 0.25f));
        CHECK(notes.by_box == std::vector<float>(4, 0.25f));
        if (norm == Norm::linf) {
            CHECK(notes.by_epsilon == std::vector<float>{0, 0, 0.5f, 0.5f});  // 0.04, 0.08, 0.10
        } else {
            CHECK(notes.by_epsilon[0] == 0);
            CHECK(notes.by_epsilon[3] > 0);
        }
        attack.observe(nullptr);
        attack.run(classifier, batch);
        CHECK(notes.steps == 4);
    }
    Constant constant(2);
    Notes notes;
    Pgd again({.steps = 2, .restarts = 3});
    again.observe(&notes);
    again.run(constant, {.images = greys(2, 4), .targets = Tensor::of<int64_t>({0, 0}, {2})});
    CHECK(notes.steps == 6);
    CHECK(notes.restarts == 3);
}
