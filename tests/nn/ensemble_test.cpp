#include "nn/ensemble.hpp"

#include "attacks/registry.hpp"
#include "base/error.hpp"
#include "tests/nn/model_test_support.hpp"

#include <catch2/catch.hpp>
#include <cmath>

using namespace microtome;
using Catch::Contains;

namespace {

constexpr int64_t kSide = 20;

std::unique_ptr<Classifier> member(uint64_t seed, int64_t classes = 3, int64_t side = kSide) {
    ModelCard card;
    card.architecture = "mlp";
    card.options = complete_options(
        "mlp", {.classes = classes, .image = {.height = side, .width = side}, .numbers = {{"width", 16}}});
    auto model = make_model(card.architecture, card.options);
    model->initialize(seed);
    return std::make_unique<ModelClassifier>(LoadedModel{std::move(model), card});
}

Ensemble ensemble_of(const std::vector<uint64_t>& seeds, Voting voting) {
    std::vector<std::unique_ptr<Classifier>> members;
    for (uint64_t seed : seeds) members.push_back(member(seed));
    return {std::move(members), voting};
}

Batch some_images(int64_t n = 4) {
    Batch batch{.images = test::images({n, kSide, kSide, 3})};
    std::vector<int64_t> labels;
    for (int64_t i = 0; i < n; ++i) labels.push_back(i % 3);
    batch.targets = Tensor::of(labels, {n});
    return batch;
}

std::vector<double> softmax(const float* z, int64_t n) {
    std::vector<double> p;
    double sum = 0;
    for (int64_t c = 0; c < n; ++c) sum += std::exp(static_cast<double>(z[c]));
    for (int64_t c = 0; c < n; ++c) p.push_back(std::exp(static_cast<double>(z[c])) / sum);
    return p;
}

// A member that says what it is told to, whatever it sees.
class Fixed : public Classifier {
  public:
    explicit Fixed(std::vector<float> logits, int64_t batch = 1)
        : logits_(std::move(logits)), batch_(batch) {}
    int64_t classes() const override { return static_cast<int64_t>(logits_.size()); }
    const ImageOptions& image() const override { return image_; }
    int64_t suggested_batch(const Spec&) override { return batch_; }

  private:
    Tensor run(const Batch&, const Query&) override { return Tensor::of(logits_, {1, classes()}); }
    Tensor pull(const Tensor&) override { return Tensor::zeros({1, kSide, kSide, 3}); }
    std::vector<float> logits_;
    int64_t batch_;
    ImageOptions image_{.height = kSide, .width = kSide};
};

std::vector<float> answer(const std::vector<std::vector<float>>& opinions, Voting voting) {
    std::vector<std::unique_ptr<Classifier>> members;
    for (const std::vector<float>& one : opinions) members.push_back(std::make_unique<Fixed>(one));
    Ensemble ensemble(std::move(members), voting);
    const Tensor logits = ensemble.logits({.images = test::images({1, kSide, kSide, 3})});
    return {logits.data<float>().begin(), logits.data<float>().end()};
}

}  // namespace

TEST_CASE("members that agree are one classifier", "[nn][ensemble]") {
    const Batch batch = some_images();
    const auto alone = member(3);
    const Tensor expected = alone->logits(batch);
    for (Voting voting : {Voting::mean_probability, Voting::mean_logit, Voting::vote}) {
        Ensemble ensemble = ensemble_of({3, 3, 3}, voting);
        CHECK(ensemble.size() == 3);
        const Tensor logits = ensemble.logits(batch);
        for (int64_t i = 0; i < 4; ++i) {
            const float *one = expected.data<float>().data() + 3 * i,
                        *all = logits.data<float>().data() + 3 * i;
            CHECK(std::max_element(all, all + 3) - all == std::max_element(one, one + 3) - one);
            const std::vector<double> p = softmax(one, 3), q = softmax(all, 3);
            for (int c = 0; c < 3 && voting != Voting::vote; ++c) CHECK(q[c] == Approx(p[c]).epsilon(1e-5));
        }
    }
}

TEST_CASE("an ensemble suggests the least that a member does", "[nn][ensemble]") {
    const Spec images = some_images(50).images.spec();
    std::vector<std::unique_ptr<Classifier>> members;
    for (int64_t batch : {20, 7, 90})
        members.push_back(std::make_unique<Fixed>(std::vector<float>{1, 2}, batch));
    Ensemble ensemble(std::move(members), Voting::mean_logit);
    CHECK(ensemble.suggested_batch(images) == 7);
}

TEST_CASE("an ensemble's answers are means and votes", "[nn][ensemble]") {
    // Two are lukewarm for class 0, one is sure of class 1: votes and means differ.
    const std::vector<std::vector<float>> opinions{{.2f, 0, -9}, {.2f, 0, -9}, {-9, 9, 0}};
    std::vector<double> mean(3, 0);
    for (const auto& one : opinions)
        for (int c = 0; c < 3; ++c) mean[c] += softmax(one.data(), 3)[c] / 3;
    const std::vector<double> soft = softmax(answer(opinions, Voting::mean_probability).data(), 3);
    for (int c = 0; c < 3; ++c) CHECK(soft[c] == Approx(mean[c]).epsilon(1e-5));
    CHECK(mean[1] > mean[0]);

    const std::vector<float> logits = answer(opinions, Voting::mean_logit);
    CHECK(logits[0] == Approx((.2 + .2 - 9) / 3));
    CHECK(logits[1] == Approx(3));

    const std::vector<double> hard = softmax(answer(opinions, Voting::vote).data(), 3);
    CHECK(hard[0] == Approx((2 + mean[0]) / 4).epsilon(1e-5));
    CHECK(hard[1] == Approx((1 + mean[1]) / 4).epsilon(1e-5));
    CHECK(hard[0] > hard[1]);
    // One vote each: the surer of the two decides.
    const std::vector<float> tie = answer({{1, 0, 0}, {0, 5, 0}}, Voting::vote);
    CHECK(tie[1] > tie[0]);
    // Logits of any size stay finite.
    for (Voting voting : {Voting::mean_probability, Voting::vote})
        for (float z : answer({{1e4f, -1e4f, 0}, {-1e4f, 1e4f, 0}}, voting)) CHECK(std::isfinite(z));
}

TEST_CASE("an ensemble's gradient goes through all members", "[nn][ensemble]") {
    const Batch batch = some_images(2);
    const std::vector<float> wanted{.3f, -1, .5f, 0, 2, -.25f};
    const Tensor dlogits = Tensor::of(wanted, {2, 3});
    for (Voting voting : {Voting::mean_probability, Voting::mean_logit}) {
        Ensemble ensemble = ensemble_of({1, 2, 5}, voting);
        CHECK(gradient_of(voting) == "exact");
        ensemble.logits(batch);
        const Tensor gradient = ensemble.vjp(dlogits);
        // Along a direction, by central differences.
        const Tensor direction = test::images({2, kSide, kSide, 3}, 9);
        auto value_at = [&](float h) {
            Batch moved = batch;
            moved.images = batch.images.clone();
            std::span<float> x = moved.images.mutable_data<float>();
            for (std::size_t i = 0; i < x.size(); ++i) x[i] += h * (direction.data<float>()[i] - .5f);
            const Tensor logits = ensemble.logits(moved);
            double sum = 0;
            for (int i = 0; i < 6; ++i) sum += static_cast<double>(wanted[i]) * logits.data<float>()[i];
            return sum;
        };
        double along = 0;
        for (std::size_t i = 0; i < gradient.data<float>().size(); ++i)
            along += static_cast<double>(gradient.data<float>()[i]) * (direction.data<float>()[i] - .5f);
        const double h = 2e-3;
        CHECK(along == Approx((value_at(static_cast<float>(h)) - value_at(static_cast<float>(-h))) / (2 * h))
                           .epsilon(2e-3));
    }
    // The vote's is that of the mean probability, and says that it is a substitute.
    Ensemble vote = ensemble_of({1, 2, 5}, Voting::vote),
             mean = ensemble_of({1, 2, 5}, Voting::mean_probability);
    vote.logits(batch);
    mean.logits(batch);
    CHECK(identical(vote.vjp(dlogits), mean.vjp(dlogits)));
    CHECK_THAT(std::string(gradient_of(Voting::vote)), Contains("substitute"));
    CHECK(vote.backward_passes() == 2);
    CHECK(vote.fingerprint() != mean.fingerprint());
    CHECK(vote.fingerprint() == ensemble_of({1, 2, 5}, Voting::vote).fingerprint());
    CHECK(vote.fingerprint() != ensemble_of({1, 2, 6}, Voting::vote).fingerprint());
}

TEST_CASE("an attack on an ensemble fools more of it than one on a single member", "[nn][ensemble]") {
    const Batch batch = some_images(6);
    Ensemble ensemble = ensemble_of({1, 2, 5}, Voting::mean_probability);
    const auto single = member(1);
    const auto pgd = make_attack("pgd", {{"epsilon", "0.05"}, {"steps", "8"}});
    auto loss = [&](const Tensor& images) {
        const Tensor logits = ensemble.logits({.images = images});
        double sum = 0;
        for (int64_t i = 0; i < 6; ++i)
            sum -=
                std::log(softmax(logits.data<float>().data() + 3 * i, 3)[batch.targets.data<int64_t>()[i]]);
        return sum;
    };
    const double through = loss(pgd->run(ensemble, batch)), transferred = loss(pgd->run(*single, batch));
    CHECK(through > transferred);
    CHECK(through > loss(batch.images));
}

TEST_CASE("an ensemble refuses members that do not fit together", "[nn][ensemble]") {
    auto make = [](std::unique_ptr<Classifier> a, std::unique_ptr<Classifier> b) {
        std::vector<std::unique_ptr<Classifier>> members;
        members.push_back(std::move(a));
        members.push_back(std::move(b));
        Ensemble ensemble(std::move(members), Voting::vote);
    };
    CHECK_THROWS_AS(Ensemble({}, Voting::vote), OptionsError);
    CHECK_THROWS_WITH(make(member(1), member(1, 4)), Contains("number of classes, got 3 and 4"));
    CHECK_THROWS_WITH(make(member(1), member(1, 3, 24)), Contains("20 x 20") && Contains("24 x 24"));
    for (const std::string& name : voting_names()) CHECK(name_of(voting_named(name)) == name);
    CHECK_THROWS_WITH(voting_named("votes"), Contains("did you mean vote?"));
}
